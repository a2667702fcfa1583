"""What is known of single languages: one profile each, read from one data file each."""
