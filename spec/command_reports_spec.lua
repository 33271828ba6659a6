-- What is told of failures, in scripts and at the prompt alike: each once, with its message, the
-- user's own frames and their lines, and no frame of the runtime.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

-- The code, each of its lines one of a script's from the second on; what the report begins with;
-- and the lines that it has to name, innermost first.
local failures = {
  { "an error", "error 'boom'", "2: boom", { 2 } },
  { "an error of Lua's own", "local x\nx.y = 1", "3: attempt to index local 'x' (a nil value)",
    { 3 }, script_only = true },
  { "in a function", "function f()\n  error 'boom'\nend\nf()", "3: boom", { 3, 5 } },
  { "in a task", "halo.spawn(function()\n  error 'boom'\nend)\nhalo.sleep(0.01)", "3: boom",
    { 3, 2 }, title = "halo: task %d+ failed: " },
  { "of Lua's own in a task", "halo.spawn(function()\n  return nope.x\nend)\nhalo.sleep(0.01)",
    "3: attempt to index global 'nope' (a nil value)", { 3, 2 },
    title = "halo: task %d+ failed: " },
  { "in a task that is joined", "halo.spawn(function()\n  error 'boom'\nend):join()", "3: boom",
    { 4, 3, 2 }, causes = 1 },
  { "in a scope", "halo.scope(function()\n  error 'boom'\nend)", "3: boom", { 2, 3, 2 },
    causes = 1 },
  { "in a scope's task", "halo.scope(function(scope)\n  scope:spawn(function()\n"
    .. "    error 'boom'\n  end)\nend)", "4: boom", { 2, 4, 3 }, causes = 1 },
  { "in a nested scope", "halo.scope(function()\n  halo.scope(function(inner)\n"
    .. "    inner:spawn(function()\n      return nope.x\n    end)\n  end)\nend)",
    "5: attempt to index global 'nope' (a nil value)", { 2, 3, 2, 5, 4 }, causes = 2 },
  { "in a map", "halo.map({ 1 }, function()\n  error 'boom'\nend)", "3: boom", { 2, 3, 2 },
    causes = 1 },
  { "in all", "halo.all {\n  function() error 'boom' end,\n}", "3: boom", { 2, 3, 2 }, causes = 1 },
  { "in a race", "halo.race {\n  function() error 'boom' end,\n}", "3: boom", { 2, 3, 2 },
    causes = 1 },
  { "in a timeout", "halo.timeout(1, function()\n  error 'boom'\nend)", "3: boom", { 2, 3, 2 },
    causes = 1 },
  { "in a shield", "halo.shield(function()\n  error 'boom'\nend)", "3: boom", { 3, 2 } },
  { "under a semaphore", "halo.semaphore(1):with(function()\n  error 'boom'\nend)", "3: boom",
    { 3, 2 } },
  { "in a defer", "halo.scope(function(scope)\n  scope:defer(function()\n    error 'boom'\n"
    .. "  end)\nend)", "4: boom", { 4, 2 } },
  { "in a generator", "for _ in coroutine.wrap(function()\n  halo.sleep(0.001)\n  error 'boom'\n"
    .. "end) do end", "2: s.lua:4: boom", { 2 } },
  { "of a coroutine", "co = coroutine.create(function()\n  error 'boom'\nend)\n"
    .. "error(select(2, coroutine.resume(co)), 0)", "3: boom", { 5 }, script_only = true },
  { "in a callback of table.sort", "table.sort({ 1, 2 }, function()\n  error 'boom'\nend)",
    "3: boom", { 3, 2 } },
  { "while a module is loaded", "\nrequire 'broken'", nil, { 1, 3 } },
  { "in a module's function", "\nrequire('module').fail()", nil, { 2, 3 } },
  { "misuse", "\nfs.stat(1)", "3: bad argument #1 to 'stat' (path (a string) expected, got number)",
    { 3 } },
  { "of a refusal", "\nassert(fs.stat '/nope')", "3: ENOENT: no such file or directory: /nope",
    { 3 } },
  { "of a loop", "for _ in fs.dir '/nope' do end", "2: ENOENT: no such file or directory: /nope",
    { 2 } },
  { "a table", "error({})", "(error object is a table value)", { 2 } },
  { "an object", "error(setmetatable({}, { __tostring = function() return 'mine' end }))", "mine",
    { 2 } },
  { "an object that fails", "error(setmetatable({}, { __tostring = function() error 'no' end }))",
    "(error object is a table value)", { 2 } },
  { "nil in a task", "halo.spawn(function() error() end)\nhalo.sleep(0.01)",
    "(error object is a nil value)", { 2, 2 }, title = "halo: task %d+ failed: " },
}

describe("a report", function()
  local dir = temp.dir()

  before_each(function()
    dir:file("broken.lua", "error 'while loading'")
    dir:file("module.lua", "return { fail = function()\nerror 'in module' end }")
  end)

  ---Looks at the frames: each has a line, and is the user's. Returns the lines, and the messages.
  local function parse(report)
    local lines, messages = {}, {}
    for line in report:gmatch "[^\n]+" do
      if line:match "^\t%[C%]: in function" then -- a built-in one that the user called
        assert.is_truthy(line:match "'[%a.]+'$", line)
      elseif line:match "^\t" then
        local number = line:match "^\t[%w_./]+:(%d+): in %S" or line:match "^\tspawned at .+:(%d+)$"
        assert.is_truthy(number, line)
        table.insert(lines, tonumber(number))
      elseif line ~= "stack traceback:" then
        table.insert(messages, line)
      end
    end
    return lines, messages
  end

  local function check(case, report, title, file)
    local lines, messages = parse(report)
    assert.not_matches("[halo]", report, 1, true)
    assert.matches("^" .. (case.title or title), messages[1])
    assert.equal(1 + (case.causes or 0), #messages, report)
    if case[3] then
      local message = case[3]:gsub("s%.lua", file):gsub("^(%d+:)", file .. ":%1")
      for _, text in ipairs(messages) do
        assert.equal(message, text:sub(-#message))
      end
    end
    assert.same(case[4], lines, report)
  end

  for _, case in ipairs(failures) do
    it("of a script's failure: " .. case[1], function()
      dir:file("s.lua", "local halo = require 'halo' local fs = halo.fs\n" .. case[2])
      local stdout, stderr, status = run("cd " .. quote(dir.root) .. "; " .. command.halo("s.lua"))
      assert.same({ "", 1 }, { stdout, status })
      check(case, stderr, "halo: ", "s.lua")
    end)

    local at_prompt = case.script_only and function() end or it
    at_prompt("of a failure at the prompt: " .. case[1], function()
      -- In one chunk, so that the lines are those of the script.
      local text = "do\n" .. case[2] .. "\nend\n"
      local _, stderr, status = run(("cd %s; printf %%s %s | %s"):format(quote(dir.root),
        quote(text), command.halo("-i")))
      check(case, stderr, "error: ", "stdin")
      assert.equal(case.title and 1 or 0, status)
    end)
  end

  it("of two failures tells both", function()
    dir:file("s.lua", [[
local halo = require "halo"
halo.scope(function(scope)
  scope:defer(function() error "second" end)
  error "first"
end)]])
    local _, stderr = run("cd " .. quote(dir.root) .. "; " .. command.halo("s.lua"))
    assert.equal([[
halo: s.lua:4: first
stack traceback:
	s.lua:2: in main chunk
because halo: task 2 failed: s.lua:4: first
stack traceback:
	[C]: in function 'error'
	s.lua:4: in function <s.lua:2>
	spawned at s.lua:2
and also an error: s.lua:3: second
stack traceback:
	[C]: in function 'error'
	s.lua:3: in function <s.lua:3>
	s.lua:2: in main chunk
]], stderr)
  end)

  it("has no title of a traceback where there are no frames", function()
    assert.same({ "", "halo: module 'nope' not found:", 1 }, { (function()
      local stdout, stderr, status = run(command.halo("-l", "nope"))
      assert.not_matches("stack traceback", stderr)
      return stdout, stderr:match "^[^\n]+", status
    end)() })
  end)
end)
