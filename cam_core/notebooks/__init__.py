"""In a notebook: results that draw themselves, and long work that shows a bar."""
