"""What is known of single languages: one data file for each."""
