"""Messages to users: notes and warnings, and the names of settings in them."""
