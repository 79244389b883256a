"""Names bound to models that are never trained here."""
