-- Runtimes and threads: spec/support/host_threads.c. TOKENS=1000000 is how many tokens its four
-- threads complete, OPERATIONS=100000 how many operations each of two runtimes does.

local command = require "spec.support.command"
local host_program = require "spec.support.host_program"
local survived = require "spec.support.survived"

local PATIENCE_S = 600
local KIB_MAX, US_MAX = 300, 1000 -- of each further runtime

local program, why_not = host_program.build("host_threads", "-Wl,--wrap=write")

local COMMAND = "make test SPEC=spec/host_threads_spec.lua TOKENS=1000000 OPERATIONS=100000"

describe("a runtime", function()
  local tried = { operations = 0, pending = 0, tokens = 0 }

  teardown(function()
    for _, row in ipairs {
      { name = "host_two", kind = "runtimes in two threads", tried = tried.operations,
        unit = "operations", command = COMMAND },
      { name = "host_pending", kind = "a host that closes with 1,000 pending",
        tried = tried.pending, unit = "operations", command = COMMAND },
      { name = "host_tokens", kind = "answers of a host's four threads, which scripts wait for",
        tried = tried.tokens, unit = "tokens", command = COMMAND },
    } do
      survived.tell_of_file(row)
    end
  end)

  local function count_of(name, otherwise)
    return tonumber(os.getenv(name) or "") or otherwise
  end

  local function run(case, count)
    local stdout, stderr, status = command.run(command.quote(program, case, count), PATIENCE_S)
    assert.same({ "", 0 }, { stderr, status }, stdout)
    return stdout
  end

  local function it_does(what, fn)
    it(what, function()
      if not program then
        return pending(why_not)
      end
      fn()
    end)
  end

  it_does("works in its thread, and another one in another", function()
    local count = count_of("OPERATIONS", 2000)
    run("two", count)
    tried.operations = 2 * count
  end)

  it_does("closes with 1,000 operations pending", function()
    run("pending", 1000)
    tried.pending = 1000
  end)

  it_does("tells by its descriptor of each completion, and wakes nobody for nothing", function()
    local stdout = run("descriptor", count_of("TOKENS", 20000))
    tried.tokens = tonumber(stdout:match "^(%d+) tokens")
  end)

  it_does("costs little, beside others", function()
    local sanitize = os.getenv "SANITIZE" or ""
    if sanitize ~= "" then
      return pending "sanitizers take memory and time of their own"
    end
    local stdout = run("cost", 40)
    local kib, us = stdout:match "^(%-?%d+) KiB beyond its state.-at least (%d+),"
    assert.is_true(tonumber(kib) <= KIB_MAX, stdout)
    assert.is_true(tonumber(us) <= US_MAX, stdout)
  end)
end)
