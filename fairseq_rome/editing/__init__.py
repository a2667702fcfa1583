"""The run: requests in, patches and an outcome out."""
