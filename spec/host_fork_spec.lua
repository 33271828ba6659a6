-- A host that forks, and its child: spec/support/host_fork.c.

local host_program = require "spec.support.host_program"

local WHY = "TSAN has no threads in a child of fork()"

host_program.describe("a child of a host", "host_fork", {
  { "made", "cannot use its parent's runtime, nor reach it by any call", not_in_tsan = WHY },
  { "own", "cannot do so where the state is the host's, either", not_in_tsan = WHY },
  { "fresh", "has one of its own where the parent's had not begun", not_in_tsan = WHY },
  { "locked", "finds no lock held, whatever other threads did", not_in_tsan = WHY },
})
