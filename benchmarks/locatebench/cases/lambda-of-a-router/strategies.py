"""Ways to give tickets to queues."""


def in_turn(tickets, queues):
    return {ticket: place % queues for place, ticket in enumerate(tickets)}


def sticky(tickets, queues):
    """All of one kind to one queue."""
    return _given(tickets, lambda ticket: hash(ticket.partition("-")[0]) % queues)


def _given(tickets, queue_of):
    found = {}
    for ticket in tickets:
        found[ticket] = queue_of(ticket)
    return found


STRATEGIES = {"in-turn": in_turn, "sticky": sticky}
