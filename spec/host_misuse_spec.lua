-- Calls of a host that are wrong get a code that halo_lua.h names: spec/support/host_misuse.c.

local host_program = require "spec.support.host_program"

host_program.describe("a host's call that", "host_misuse", {
  { "null", "has NULL in it, or too little on the stack" },
  { "options", "asks for what cannot be" },
  { "after_close", "comes after the close" },
  { "wrong_thread", "comes from another thread" },
  { "reentrant", "comes from inside of a step" },
  { "tokens", "completes a token twice, or awaits one that is used up" },
  { "answers", "leaves fewer values than it says, or waits in a function that cannot" },
  { "never", "is not followed by an answer, or by one when all is over" },
  { "memory", "finds no memory, at each allocation in turn",
    not_in_tsan = "a thousand starts are too slow for TSAN" },
})
