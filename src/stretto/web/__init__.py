"""The page and its wire: a session in a process of its own, seen and spoken to through one port."""
