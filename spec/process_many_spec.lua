-- Many processes at once: all of them run, and of those whose scope is killed nothing stays, no
-- child, no zombie and no descriptor, though they do not heed TERM.

local halo = require "halo"
local eventually = require "spec.support.eventually"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local fs, process = halo.fs, halo.process

local MANY, AT_ONCE = 1000, 100
local ALIVE, DEAF = 300, 200

local function numbers(count)
  local list = {}
  for i = 1, count do
    list[i] = i
  end
  return list
end

---Without those that the loop opens once and keeps: a poller, an eventfd, the list of mounts.
local function count_descriptors()
  local count = 0
  for _, entry in ipairs(fs.readdir "/proc/self/fd") do
    local leads_to = fs.readlink("/proc/self/fd/" .. entry.name)
    local is_kept = leads_to and (leads_to:find "%[event" or leads_to:find "/mountinfo$")
    count = count + (leads_to and not is_kept and 1 or 0)
  end
  return count
end

---The children of this process, zombies included.
local function children()
  local found = {}
  local own = fs.readfile("/proc/self/stat"):match "^%d+"
  for _, entry in ipairs(fs.readdir "/proc") do
    local stat = entry.name:find "^%d+$" and fs.readfile("/proc/" .. entry.name .. "/stat")
    if stat and stat:match "%) %a (%d+)" == own then
      found[#found + 1] = entry.name
    end
  end
  return found
end

---Nothing is left of what has been started since.
local function assert_as_before(descriptors, before)
  eventually("all descriptors are closed", function()
    return count_descriptors() <= descriptors -- the collector may have closed some of before
  end)
  assert.same(before, children())
end

local function tell(name, kind, tried)
  survived.tell { name = "process_" .. name, kind = kind, tried = tried, unit = "processes",
    lost = 0, command = "make test SPEC=spec/process_many_spec.lua" }
end

describe("many processes #slow", function()
  local dir = temp.dir()

  it("run in bounded groups, each with its output", function()
    local descriptors, before = count_descriptors(), children()
    local alive, most = 0, 0
    local outputs = halo.map(numbers(MANY), function(i)
      alive = alive + 1
      most = math.max(most, alive)
      local output, status = process.run { "echo", i }
      alive = alive - 1
      assert(status == 0, output)
      return output
    end, AT_ONCE)
    for i = 1, MANY do
      assert.equal(i .. "\n", outputs[i])
    end
    assert.equal(AT_ONCE, most)
    assert_as_before(descriptors, before)
    tell("groups", "processes in groups of 100", MANY)
  end)

  it("end with their scope, all that are alive at once", function()
    local descriptors, before = count_descriptors(), children()
    local alive
    local ok, err = pcall(halo.scope, function()
      for _ = 1, ALIVE do
        assert(process.spawn { "sleep", "1000", stdin = "null", stdout = "null" })
      end
      alive = #children() - #before
      error("enough", 0)
    end)
    assert.same({ false, "enough" }, { ok, err })
    assert.equal(ALIVE, alive)
    assert_as_before(descriptors, before)
    tell("killed", "processes whose scope is killed", ALIVE)
  end)

  it("are killed after the grace where they ignore TERM, all in the time of one", function()
    local descriptors, before = count_descriptors(), children()
    local script = "trap '' TERM; echo deaf; exec sleep 1000"
    local statuses, start = {}, nil
    local started = {}
    pcall(halo.scope, function()
      for i = 1, DEAF do
        started[i] = assert(process.spawn { "sh", "-c", script, stdin = "null", grace = 1,
          cwd = dir.root })
      end
      for _, self in ipairs(started) do
        assert(self.stdout:read(100) == "deaf\n")
      end
      start = halo.now()
      error("enough", 0)
    end)
    local took = halo.now() - start
    for i, self in ipairs(started) do
      statuses[i] = self:wait()
      self.stdout:close()
    end
    for i = 1, DEAF do
      assert.equal(137, statuses[i])
    end
    assert.is_true(took >= 1 and took < 20, took)
    assert_as_before(descriptors, before)
    tell("deaf", "processes that ignore TERM, whose scope is killed", DEAF)
  end)
end)
