-- Where halo calls the host, it may call halo: spec/support/host_push.c.

local host_program = require "spec.support.host_program"

host_program.describe("a host, where halo calls it,", "host_push", {
  { "spawns", "spawns of what lies on the stack that push was given" },
  { "cancels", "cancels in push the task that the values are for" },
  { "yields", "cannot let push wait, and gives it a frame of its own" },
  { "finalizers", "spawns in a finalizer, whoever collects" },
  { "interruption", "interrupts while the first operation begins" },
}, "-Wl,--wrap=halo_loop_create")
