"""The server: translations while corrections come in, go live, are proven and wait to be baked."""
