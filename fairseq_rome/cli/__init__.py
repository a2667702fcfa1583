"""Commands, one thin file each: parse, call the library, print. Nothing else prints or exits."""
