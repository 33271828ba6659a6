-- A host whose close does not come to its end in time: spec/support/host_close.c, where a file
-- system hangs.

local command = require "spec.support.command"
local fuse = require "spec.support.fuse"
local host_program = require "spec.support.host_program"

local HANG_MS = 1000

-- To look for leaks a sanitizer stops all threads, for which it waits as long as the kernel does.
local NO_LEAKS = "env ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 "

local program, why_not = host_program.build "host_close"

describe("a close whose deadline passes", function()
  local mount, reason = fuse.mount(HANG_MS)

  -- In a state of halo's, in one of the host's, and beside another runtime: at the same time.
  it("says how much is left, and the host may free the runtime, go on, and exit", function()
    if not program or not mount then
      return pending(why_not or reason)
    end
    local hosts = {}
    for _, case in ipairs { "made", "own", "shared" } do
      hosts[case] = command.start(NO_LEAKS .. command.quote(program, case, mount.path))
    end
    for case, host in pairs(hosts) do
      local stdout, stderr, status = host:finish()
      assert.same({ case, "left: some\nas expected\n", "", 0 }, { case, stdout, stderr, status })
    end
  end)
end)
