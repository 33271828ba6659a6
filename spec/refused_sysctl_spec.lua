-- A kernel that refuses io_uring by its sysctl kernel.io_uring_disabled: to all, or to all but a
-- group. The sysctl is written, and so only where the kernel is the specs' own: `make kernels` says
-- that by HALO_GUEST=1, and has all specs run on such a kernel.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local SYSCTL = "/proc/sys/kernel/io_uring_"
local TO_ALL, TO_GROUP, TO_NOBODY = "0", "1", "2"
local NO_GROUP = "-1"

local function read(name)
  local file = io.open(SYSCTL .. name)
  local text = file and file:read "*l"
  if file then
    file:close()
  end
  return text
end

local function write(name, value)
  local file = assert(io.open(SYSCTL .. name, "w"))
  assert(file:write(value))
  assert(file:close())
end

---Why the sysctl is left alone here; nil where it may be written.
local function why_not()
  if not read "disabled" then
    return "this kernel has no kernel.io_uring_disabled"
  elseif os.getenv "HALO_GUEST" ~= "1" then
    return "the sysctl of this machine is left as it is: `make kernels` boots one for it"
  end
end

describe("kernel.io_uring_disabled", function()
  if why_not() then
    pending(why_not())
    return
  end

  local dir = temp.dir()
  local before = {}

  before_each(function()
    before.disabled, before.group = read "disabled", read "group"
    assert(os.execute(("cp %s %s/halo && chmod -R go=rwX %s"):format(quote(command.halo_bin),
      dir.root, dir.root)) == 0)
  end)

  after_each(function()
    write("disabled", before.disabled)
    write("group", before.group)
  end)

  local function halo(...)
    return ("cd %s; env -u HALO_ENGINE ./halo %s"):format(dir.root, quote(...))
  end

  local function as_root(...)
    return run(halo(...))
  end

  local function as_user(...)
    return run(command.as_user("sh -c " .. quote(halo(...))))
  end

  local work = [[
    local halo = require "halo"
    local fs = halo.fs
    local names = {}
    for i = 1, 100 do names[i] = i .. "" end
    halo.map(names, function(name)
      local file = assert(fs.create(name))
      assert(file:write(name) and file:fsync() and file:close())
      assert(fs.readfile(name) == name and fs.remove(name))
    end)
    print((halo.engine()), (halo.process.run { "echo", "run" }))
  ]]

  for who, case in pairs {
    ["2 refuses root"] = { TO_NOBODY, as_root },
    ["2 refuses a user"] = { TO_NOBODY, as_user },
    ["1 refuses a user"] = { TO_GROUP, as_user },
  } do
    local value, halo_as = case[1], case[2]

    describe(who .. ":", function()
      before_each(function()
        write("disabled", value)
        write("group", NO_GROUP)
      end)

      it("auto takes the pool, and says why under -v alone", function()
        assert.same({ "pool\trun\n\n", "", 0 }, { halo_as("-e", work) })
        assert.matches("\nengine: pool %(io_uring: EPERM: [^\n]*kernel%.io_uring_disabled",
          (halo_as "-v"))
      end)

      it("ring is an error that says what to do", function()
        local stdout, stderr, status = halo_as("--engine=ring", "-e", "print 'ran'")
        assert.matches("^halo: io_uring: EPERM: [^\n]*kernel%.io_uring_disabled %(0 allows it%)"
          .. "[^\n]*\n$", stderr)
        assert.same({ "", 1 }, { stdout, status })
      end)

      it("the doctor names it and its cure", function()
        local stdout, stderr, status = halo_as "doctor"
        local text = stdout:gsub("%s+", " ")
        assert.matches("kernel.io_uring_disabled = " .. value .. ": ", text, 1, true)
        assert.matches("=> sysctl kernel.io_uring_disabled=0;", text, 1, true)
        assert.same({ "", 1 }, { stderr, status })
      end)
    end)
  end

  for who, case in pairs {
    ["0 allows a user"] = { TO_ALL, NO_GROUP, as_user },
    ["1 allows root"] = { TO_GROUP, NO_GROUP, as_root },
    ["1 allows those of the group"] = { TO_GROUP, command.USER, as_user },
  } do
    it(who, function()
      write("disabled", case[1])
      write("group", case[2])
      assert.same({ "ring\trun\n\n", "", 0 }, { case[3]("--engine=ring", "-e", work) })
      assert.matches("ok io_uring +works", (case[3] "doctor"))
    end)
  end
end)
