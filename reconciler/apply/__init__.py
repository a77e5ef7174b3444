"""One app's children: what they shall be, what differs, what is done about it."""
