"""Development certificate authority, leaf certificates, reload on rotation."""
