-- Rows of a table that become tests, one for each: a call and the errno that it answers with.
--
--     local t = refusals.fixture()
--     refusals.expand(t, {
--       { "fs.chmod", "ENOENT", "missing", function() return fs.chmod(t.missing, 420) end },
--
-- The answer has to be nil, a message and the code, and the message the code, a text and the path:
-- that of the field of t which the third column names, of two fields with " -> " in between, or
-- what the row says itself (about). What raises (raises) has to do so with the same message.
--
-- Not all file systems are alike: one may answer with another code (either), or let the call
-- succeed, and then the test is skipped for a reason (allowed).

local busted = require "busted"
local assert = require "luassert"
local fs = require "halo.fs"
local posix = require "spec.support.posix"

local refusals = {}

-- ---- what is to be refused ----------------------------------------------------------------------

local NAME_MAX = 255

---Paths below a root, which is "" for those that begin in a Dir; what they are about is made by
---fixture().
---@return table<string, string>
function refusals.paths(root)
  local prefix = root == "" and "" or root .. "/"
  return {
    file = prefix .. "file",
    dir = prefix .. "dir",
    full = prefix .. "full",
    fifo = prefix .. "fifo",
    socket = prefix .. "socket",
    link = prefix .. "link",
    dangling = prefix .. "dangling",
    loop = prefix .. "loop",
    free = prefix .. "free", -- there is never anything
    missing = prefix .. "missing",
    inner = prefix .. "missing/inner",
    empty = "",
    through = prefix .. "file/below",
    in_loop = prefix .. "loop/below",
    long_name = prefix .. ("n"):rep(NAME_MAX + 1),
    long_path = prefix .. ("./"):rep(2500) .. "file",
  }
end

---All that is below a path and what stat knows of it, as one text. A directory has another time
---once something was made in it, though it is gone again.
local function snapshot(path)
  local pipe = assert(io.popen(([[find '%s' -printf '%%P %%y %%m %%U %%n %%s %%l ' \
    \( -type d -printf '\n' -o -printf '%%T@\n' \) | sort]]):format(path)))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

---A directory with a bit of everything for all tests of a block, its paths by name, and at: a Dir
---of it. Nothing in it changes, since all that is asked for is refused. What is in the list undo is
---called before it is removed; where there is a why_not, the tests are skipped for that reason.
---@return table
function refusals.fixture()
  local t, before = { below = {}, undo = {} }, nil

  busted.setup(function()
    t.root = posix.mkdtemp()
    for name, path in pairs(refusals.paths(t.root)) do
      t[name] = path
    end
    t.below = refusals.paths("")
    assert(os.execute(([[cd '%s' && printf content >file && mkdir dir full && : >full/x &&
      ln -s file link && ln -s nowhere dangling && ln -s loop loop && chmod 755 .]])
      :format(t.root)) == 0)
    posix.mkfifo(t.fifo)
    posix.mksocket(t.socket)
    t.at = assert(fs.at(t.root))
    before = snapshot(t.root)
  end)

  busted.teardown(function()
    for _, undo in ipairs(t.undo) do
      undo()
    end
    if t.at then
      t.at:close()
    end
    os.execute(("rm -rf '%s'"):format(t.root))
  end)

  function t.assert_unchanged()
    assert.equal(before, snapshot(t.root))
  end

  return t
end

-- ---- the answer ---------------------------------------------------------------------------------

---What a message is about; with prefix, it may go on behind the path.
local function assert_message(code, message, about, prefix)
  assert.is_string(message)
  local head, text = message:match "^(%u[%u%d]*): (%l[^:]*)"
  assert.equal(code, head, message)
  assert.is_truthy(text and #text > 3, message)
  local from = #message - #about + 1
  if prefix then
    from = message:find(": " .. about, 1, true) or 0
    from = from + 2
  end
  assert.equal(": " .. about, message:sub(from - 2, from + #about - 1), message)
end

---Asserts that the results are a refusal.
---@param code string
---@param about string the path, or both
---@param prefix boolean? the path is only what that of the message begins with
function refusals.assert_refused(code, about, prefix, ...)
  assert.equal(code, (select(3, ...)), tostring((select(2, ...))))
  assert.is_nil((...))
  assert.equal(3, select("#", ...))
  assert_message(code, select(2, ...), about, prefix)
end

---The same of what raises.
function refusals.assert_raised(code, about, call)
  local ok, message = pcall(call)
  assert.is_false(ok)
  assert.is_string(message)
  local place, rest = message:match "^(.-%.lua:%d+): (.*)$"
  assert.is_truthy(place, message)
  assert_message(code, rest, about)
end

-- ---- the rows -----------------------------------------------------------------------------------

---The path that a row is about: the names of fields, "a" or "a -> b".
local function about_of(t, row)
  if row.about then
    return type(row.about) == "function" and row.about(t) or row.about
  end
  local paths = row.below and t.below or t
  return (row[3]:gsub("[%w_]+", function(name)
    return paths[name] or error("the fixture has no " .. name)
  end))
end

---Asserts that these results are what a row says.
local function verify_answer(t, row, ...)
  local value, _, code = ...
  if value and row.allowed then
    getfenv(row[4]).pending(row.allowed) -- which a spec sees, and a module of this kind does not
  end
  local expected = row.either == code and row.either or row[2]
  refusals.assert_refused(expected, about_of(t, row), row.prefix, ...)
end

---Makes the call of a row and asserts that it is answered as the row says.
function refusals.verify(t, row)
  local run = row[4]
  if row.raises then
    refusals.assert_raised(row[2], about_of(t, row), function() run(t) end)
  else
    verify_answer(t, row, run(t))
  end
end

---Makes a test of each row: call, code, what it is about, and what calls it.
function refusals.expand(t, rows)
  for _, row in ipairs(rows) do
    busted.it(("%s answers %s for %s"):format(row[1], row[2], row.case or row[3]), function()
      if t.why_not then
        getfenv(row[4]).pending(t.why_not)
      end
      refusals.verify(t, row)
    end)
  end
end

return refusals
