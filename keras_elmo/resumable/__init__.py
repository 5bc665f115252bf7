"""Files that take long to fill, and survive being killed."""
