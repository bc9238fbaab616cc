"""What goes wrong with a task, said once and clearly."""


class TaskError(Exception):
    """A request that cannot be carried out as it stands: what came, what was meant, what to do.

    The message is written for the person at the command line, which prints it as it stands, without traceback.
    """


class InterruptedRunError(TaskError):
    """The user stopped a run; the message says what is kept and how to go on."""
