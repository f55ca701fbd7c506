from tests.commands.running import shell

__all__ = ["shell"]
