"""Files that others wrote: looked through before a library reads them."""
