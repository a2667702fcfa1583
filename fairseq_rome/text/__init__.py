"""Text alone, without torch: requests and their files, what differs between texts, languages, checkers."""
