"""What one request asks of a model: its change, its trigger, its examples, and what must stay."""
