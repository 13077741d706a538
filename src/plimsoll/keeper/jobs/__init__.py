"""What a keeper does, one module for each kind of work; each reads what it needs, decides, and is paid for itself."""
