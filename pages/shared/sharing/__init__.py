"""Take it with you: what is on a page as Python, as a command, as settings that open it again, and as one zip."""
