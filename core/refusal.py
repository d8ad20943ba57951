"""What the user is told when something cannot be done."""


class Refusal(ValueError):
    """Bad input or a state that does not allow it; the message is one sentence: seen, expected, what to do."""
