-- A host's descriptors, for which scripts wait by halo.poll(): spec/support/host_polls.c.

local host_program = require "spec.support.host_program"

host_program.describe("a host's descriptor that a script polls", "host_polls", {
  { "eventfd", "wakes the host when it is ready, and not before", says = "%d+ polls\n" },
  { "socket", "may be a socket, whose end counts as ready", says = "%d+ polls\n" },
  { "many", "is one of many that are ready by turns" },
  { "cancelled", "is not looked at any more once the wait is given up" },
  { "closed", "may be closed meanwhile, and its number be another's" },
})
