"""Several relay processes on one port: a supervisor, its workers, and what they say to each other."""

from relay.workers.assignment import Assignment
from relay.workers.post import Post, take_post
from relay.workers.supervisor import Supervisor
from relay.workers.worker import Program

__all__ = ["Assignment", "Post", "Program", "Supervisor", "take_post"]
