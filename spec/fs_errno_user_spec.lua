-- Which errno each call answers to an ordinary user, and to a process that has come to a limit.
-- The specs may be root's, to whom nothing is forbidden: a child of another user makes the calls
-- (spec/support/user_rows.lua), all of them in one process, and prints what it was answered.

local command = require "spec.support.command"
local posix = require "spec.support.posix"
local refusals = require "spec.support.refusals"
local rows = require "spec.support.user_rows"

local USER = 65534
local DESCRIPTORS = 64 -- that the crowded child may have

-- In the child: a line for each row, of what it returned or raised.
local script = [[
  local root, which = arg[1], arg[2]
  package.path = root .. "/?.lua;" .. package.path
  local fs = require "halo.fs"
  local rows = require "spec.support.user_rows"
  local t = rows.fixture(root)
  local list, files = rows[which](t), {}
  for _ = 1, which == "of_crowd" and math.huge or 0 do
    local file, _, code = fs.open(t.own_file)
    if not file then
      assert(code == "EMFILE", code)
      break
    end
    files[#files + 1] = file
  end
  for i, row in ipairs(list) do
    local result = row.raises and { nil, select(2, pcall(row[4])) } or { row[4]() }
    io.write(i, "\t", tostring(result[1]), "\t", tostring(result[3]), "\t", tostring(result[2]),
      "\n")
  end
  if which == "of_user" then
    assert(fs.chdir(t.own))
    assert(fs.mkdir "left" and fs.chdir "left" and fs.rmdir "../left")
    print("cwd", fs.cwd())
  end
]]

---What the child has printed, by the number of the row; or nil and why it could not run.
local function answers_of_child(root, which, under)
  local line = under(command.halo(root .. "/child.lua", root, which))
  local stdout, stderr, status = command.run(line)
  if status ~= 0 and stderr:find "io_uring" then
    return nil, "an ordinary user gets no io_uring here: " .. stderr
  end
  assert(status == 0, stderr)
  local answers = {}
  for key, text in stdout:gmatch "(%w+)\t([^\n]*)" do
    answers[key] = text
  end
  return answers
end

---The same line as an ordinary user's, after what a shell has to do before.
local function as_user(before)
  return function(line)
    return ("%s; exec %s %s"):format(before, command.quote("setpriv", "--reuid=" .. USER,
      "--regid=" .. USER, "--clear-groups"), line)
  end
end

---The same in a user namespace of its own, where a number of the kernel's is 0.
local function without(name)
  return function(line)
    return ("unshare -Ur sh -c 'echo 0 >/proc/sys/user/%s && exec \"$@\"' - %s"):format(name, line)
  end
end

local function why_not(root, under)
  if not command.exists "setpriv" then
    return "there is no setpriv"
  end
  local _, stderr, status = command.run(under(command.halo("-v")))
  if status ~= 0 then
    return "halo cannot be run as another user, or under a limit, here: " .. stderr
  end
  assert.equal(0, os.execute(rows.script(root, USER)))
  os.execute(("mkdir -p '%s/spec/support' && cp spec/support/user_rows.lua "
    .. "spec/support/catalog.lua '%s/spec/support'"):format(root, root))
  local file = assert(io.open(root .. "/child.lua", "w"))
  file:write(script)
  file:close()
  os.execute(("chmod -R a+rX '%s/spec' '%s/child.lua'"):format(root, root))
end

local function about_of(t, row)
  if row.about then
    return type(row.about) == "function" and row.about(t) or row.about
  end
  return (row[3]:gsub("[%w_]+", t))
end

---A block with a child that makes all calls, and a test of each answer.
local function describe_child(what, which, under)
  describe(what, function()
    local root, reason, answers
    local t = {}

    setup(function()
      root = posix.mkdtemp()
      for name, path in pairs(rows.fixture(root)) do
        t[name] = path
      end
      reason = why_not(root, under)
      if not reason then
        answers, reason = answers_of_child(root, which, under)
      end
    end)

    teardown(function()
      os.execute(("rm -rf '%s'"):format(root))
    end)

    for i, row in ipairs(rows[which](rows.fixture "")) do
      it(("is answered %s by %s for %s"):format(row[2], row[1], row[3]), function()
        if reason then
          pending(reason)
        end
        local value, code, message = answers[tostring(i)]:match "^([^\t]*)\t([^\t]*)\t(.*)$"
        assert.equal("nil", value)
        if row.raises then
          refusals.assert_raised(row[2], about_of(t, row), function()
            error(message, 0)
          end)
        else
          refusals.assert_refused(row[2], about_of(t, row), row.prefix, nil, message, code)
        end
      end)
    end

    if which == "of_user" then
      it("is answered ENOENT by fs.cwd where the directory is no more", function()
        if reason then
          pending(reason)
        end
        assert.equal("nil\tENOENT: no such file or directory\tENOENT", answers.cwd)
      end)
    end
  end)
end

describe_child("an ordinary user", "of_user", as_user "true")
describe_child("a process that may open no more files", "of_crowd",
  as_user("ulimit -n " .. DESCRIPTORS))
describe_child("a process whose files may not grow", "of_small",
  as_user "trap '' XFSZ; ulimit -f 8") -- of 512 bytes; without the trap the signal would end it
describe_child("a process without inotify watches", "of_blind", without "max_inotify_watches")
describe_child("a process without inotify", "of_deaf", without "max_inotify_instances")
