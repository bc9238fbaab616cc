"""What goes wrong with data, said once and clearly."""


class DataError(ValueError):
    """A file or an array that is not what it should be: what was found, what was meant, what to do.

    The message is written for the person who gave the data; the command line prints it as it stands, without traceback.
    """
