"""Work that is done later: a durable queue, its workers, and what people are told of them."""
