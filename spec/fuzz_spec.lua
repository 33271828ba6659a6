-- The fuzzers' corpus: inputs that libFuzzer has made up, each of which reaches something of its
-- own, and those that halo once failed on. `make libfuzz` makes more of them. Those of arguments
-- are run on each engine; the others see none but the ring, or have nothing to do with it.

local command = require "spec.support.command"
local core = require "spec.support.core"
local survived = require "spec.support.survived"

local ENGINE = os.getenv "HALO_ENGINE" or "auto"
local PATIENCE_S = 300

---Runs a fuzzer on its corpus. Returns how many inputs there were; nil and why where it cannot run.
local function replay(name, engine)
  local program = ("%s/fuzz/%s"):format(command.build_dir, name)
  local file = io.open(program)
  if not file then
    return nil, "make has not been asked for the fuzzers"
  end
  file:close()
  if name == "arguments" and engine ~= "auto" and not core.available(engine) then
    return nil, "this kernel refuses the ring"
  end
  local line = command.quote("env", "HALO_ENGINE=" .. engine, program, "spec/fuzz/corpus/" .. name)
  local stdout, stderr, status = command.run(line, PATIENCE_S)
  assert(status == 0, stdout .. stderr:sub(-4000))
  return tonumber(stdout:match "(%d+) inputs"), stdout:match "skipped: (.*)\n"
end

if ENGINE == "auto" then
  describe("the corpus of the fuzzer of #slow", function()
    ---@param name string
    ---@param kind string for what halo survived
    local function of(name, engines, kind)
      for _, engine in ipairs(engines) do
        it(("%s is survived, engine %s"):format(name, engine), function()
          local count, why_not = replay(name, engine)
          if not count then
            pending(why_not)
          end
          assert.is_true(count > 10, count)
          survived.tell {
            name = "corpus_" .. name .. "_" .. engine, kind = kind, tried = count, unit = "inputs",
            lost = 0, command = "make test SPEC=spec/fuzz_spec.lua",
          }
        end)
      end
    end

    of("completions", { "ring" }, "completions in any order, late, twice, unknown")
    of("handles", { "ring" }, "handles that are stale, foreign or random")
    of("texts", { "auto" }, "random patterns, braces, paths, permissions, modes")
    of("arguments", { "ring", "pool", "auto" }, "random values for each public function")
  end)
end
