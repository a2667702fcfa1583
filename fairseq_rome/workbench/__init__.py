"""The workbench: everything that a front end does with a model, as calls that take and return values."""
