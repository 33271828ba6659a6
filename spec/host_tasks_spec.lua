-- The tasks of a host by their handles, its callbacks and its limits: spec/support/host_tasks.c.

local host_program = require "spec.support.host_program"

host_program.describe("a host's task", "host_tasks", {
  { "results", "has its results, as often as it is asked" },
  { "failure", "has its error, which is reported where nobody holds the task" },
  { "cancel", "is cancelled alone, also before it has begun" },
  { "at_end", "has a callback at its end, which may spawn and release" },
  { "late", "may have ended before the callback, and its handle outlives the state" },
  { "texts", "is made of a text; what it prints and what goes wrong is the host's" },
  { "tasks_limited", "is one of so many" },
  { "bytes_limited", "makes so many bytes in a call" },
  { "memory_limited", "has so much memory" },
  { "hold_told", "that holds the loop is told of, with its line" },
  { "stopped", "that holds the loop is stopped, whatever catches the error" },
  { "expired", "ends when the time in all is over" },
})
