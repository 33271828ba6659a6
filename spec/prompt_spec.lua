-- The prompt: halo -i, and halo on a terminal.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

---What was printed, without the prompts in front.
local function without_prompts(stdout)
  local lines = {}
  for line in stdout:gmatch("[^\n]+") do
    repeat
      local count
      line, count = line:gsub("^>+ ", "")
    until count == 0
    if line ~= "" then
      table.insert(lines, line)
    end
  end
  return table.concat(lines, "\n")
end

---Types text at a prompt that is no terminal.
---@return string stdout without prompts and empty lines
---@return string stderr
---@return integer status
local function session(text, ...)
  local stdout, stderr, status = run(("printf %%s %s | %s"):format(quote(text),
    command.halo("-i", ...)))
  return without_prompts(stdout), stderr, status
end

describe("the prompt", function()
  for _, example in ipairs {
    { "1 + 1", "2" },
    { "= 1 + 1", "2" },
    { "1, nil, 'a'", '1\tnil\t"a"' },
    { "nil", "nil" },
    { "print 'printed'", "printed" },
    { "local unused = 1", "" },
    { "'two\\nlines'", '"two\\nlines"' },
    { "{ 1, 'b', c = { true } }", '{ 1, "b", c = { true } }' },
    { "({}) == nil -- a comment", "false" },
    { "-- a comment", "" },
    { "{ ('日本'):rep(9), ('日本'):rep(9) }", -- which take 87 columns
      '{\n  "' .. ("日本"):rep(9) .. '",\n  "' .. ("日本"):rep(9) .. '"\n}' },
    { "{ ('e\204\129'):rep(30), ('é'):rep(30) }", -- and these 70
      '{ "' .. ("e\204\129"):rep(30) .. '", "' .. ("é"):rep(30) .. '" }' },
    { "fs.stat('/').is_dir", "true" },
    { "halo.sleep(0.001)", "true" },
    { "halo.current() ~= nil", "true" },
    { "fs.stat('/nope')", 'nil\t"ENOENT: no such file or directory: /nope"\t"ENOENT"' },
    { "halo.spawn(function() return 7 end):join()", "7" },
  } do
    it("shows the values of " .. example[1], function()
      assert.same({ example[2], "", 0 }, { session(example[1] .. "\n") })
    end)
  end

  it("shows the value of a file call, as the issue has it", function()
    local expected = run("stat -c %s /etc"):gsub("\n", "")
    assert.equal(expected, (session 'fs.stat("/etc").size\n'))
  end)

  it("shows what is written about a function: the text, and each parameter whole", function()
    local stdout = session ":help fs.open\n"
    assert.matches('^fs%.open%(path, mode, perm, %.%.%.%)\nOpens a file%.\nTakes:\n  path string\n'
      .. '  mode .- to be the\n    creator; or a sum of fs%.flags\n  perm .-\nReturns:\n', stdout)
    assert.equal(stdout, (session "help(fs.open)\n"))
  end)

  it("keeps globals from line to line", function()
    assert.same({ "12\n13", "", 0 }, { session "x = 12\nx\nx = x + 1\nx\n" })
  end)

  it("takes a last line that nothing ends", function()
    assert.same({ "5", "", 0 }, { session "2 + 3" })
  end)

  it("passes over empty lines", function()
    assert.same({ "1\n2", "", 0 }, { session "\n\n1\n   \n2\n\n" })
  end)

  for _, lines in ipairs {
    { "for i = 1, 2 do\nprint(i)\nend\n", "1\n2" },
    { "function f()\n  return 3\nend\nf()\n", "3" },
    { "print(\n4)\n", "4" },
    { "x = {\n  5,\n}\nx[1]\n", "5" },
    { "{\n  6\n}\n", "{ 6 }" },
    { "3 +\n4\n", "7" },
    { "[[8\n9]]\n", '"8\\n9"' },
    { "if true\n\nthen\n\nprint 'x' end\n", "x" },
  } do
    it("reads on until the chunk is complete: " .. lines[1]:gsub("\n", " / "), function()
      assert.same({ lines[2], "", 0 }, { session(lines[1]) })
    end)
  end

  it("says so where the input ends in the middle of a chunk", function()
    local stdout, stderr, status = session "print 'before'\nfor i = 1, 2 do\n"
    assert.equal("before", stdout)
    assert.matches("^error: stdin:%d+: [^\n]*'<eof>'\n$", stderr)
    assert.equal(0, status)
  end)

  for _, mistake in ipairs {
    { "x = = 1", "^error: stdin:1: unexpected symbol near '='\n$" },
    { "nope.field", "^error: stdin:1: attempt to index global 'nope' %(a nil value%)\n" },
    { "error 'boom'", "^error: [^\n]*boom\n" },
    { "\27LJ\2", "^error: attempt to load chunk with wrong mode\n" },
    { "error({})", "^error: %(error object is a table value%)\n" },
    { "error(nil)", "^error: [^\n]*nil[^\n]*\n" },
    { "error(setmetatable({}, { __tostring = error }))", "^error: [^\n]+\n" },
    { "setmetatable({}, { __tostring = function() error 'in tostring' end })",
      "^error: stdin:1: in tostring\nstack traceback:\n" },
    { "setmetatable({}, { __tostring = function() error() end })", "^error: [^\n]*nil[^\n]*\n" },
    { "setmetatable({}, { __tostring = function() error {} end })", "^error: [^\n]*table[^\n]*\n" },
    { "{ {}, setmetatable({}, { __tostring = function() return nope.x end }) }",
      "^error: stdin:1: attempt to index global 'nope' %(a nil value%)\n" },
    { "1, setmetatable({}, { __tostring = function() return {} end })", "^error: [^\n]+\n" },
    { "fs.stat(12)", "^error: [^\n]*bad argument #1 to 'stat' %([^\n]*\n" },
    { "assert(fs.stat('/nope'))", "^error: [^\n]*ENOENT: no such file or directory: /nope\n" },
    { "halo.spawn(function() error 'boom' end):join()", "^error: [^\n]*boom\n" },
  } do
    it("goes on after the error of " .. mistake[1], function()
      local stdout, stderr, status = session(mistake[1] .. "\n'still here'\n")
      assert.equal('"still here"', stdout)
      assert.matches(mistake[2], stderr)
      assert.equal(0, status)
    end)
  end

  it("shows the way to an error through the user's own lines alone", function()
    local _, stderr = session "function f()\n  error 'boom'\nend\nf()\nerror 'bare'\n"
    assert.matches("^error: stdin:2: boom\nstack traceback:\n", stderr)
    assert.matches("\tstdin:2: in function", stderr, 1, true)
    assert.not_matches("[halo]", stderr, 1, true)
    assert.not_matches(" at 0x", stderr, 1, true)
  end)

  it("goes on after a task in the background has failed", function()
    local stdout, stderr = session "task = nil, halo.spawn(error, 'boom')\nhalo.sleep(0.01)\n'on'\n"
    assert.equal('true\n"on"', stdout)
    assert.matches("^halo: task %d+ failed: boom\n", stderr)
  end)

  it("follows -e and a script", function()
    local stdout, stderr, status = session("x\n", "-e", "x = 42")
    assert.same({ "42", "", 0 }, { stdout, stderr, status })
  end)

  it("does not follow a chunk that has failed", function()
    local stdout, stderr, status = session("'must not come here'\n", "-e", "error 'boom'")
    assert.equal("", stdout)
    assert.matches("^halo: %(command line%):1: boom\n", stderr)
    assert.equal(1, status)
  end)

  it("ends with the status of os.exit", function()
    assert.same({ "1", "", 4 }, { session "1\nos.exit(4)\n2\n" })
  end)

  it("takes what is long and what comes in pieces", function()
    local long = ("x"):rep(100000)
    local stdout, stderr, status = session("#'" .. long .. "'\n")
    assert.same({ "100000", "", 0 }, { stdout, stderr, status })
    local process = command.start(command.halo("-i"))
    process:await("> ")
    for _, piece in ipairs { "1", "2 ", "+ 3", "\n" } do
      process:type(piece)
    end
    process:await("15\n")
    assert.equal(0, select(3, process:finish()))
  end)
end)

describe("beside the prompt that waits", function()
  it("tasks in the background go on", function()
    local process = command.start(command.halo("-i"))
    process:await("> ")
    process:type "io.stdout:setvbuf 'line'\n"
    process:type "function tick(i) halo.sleep(0.001) print('tick ' .. i) end\n"
    process:type "halo.spawn(function() for i = 1, 3 do tick(i) end end)\n"
    process:await("tick 3\n")
    process:type "1 + 1\n"
    process:await("2\n")
    local _, stderr, status = process:finish()
    assert.same({ "", 0 }, { stderr, status })
  end)

  it("a task that fails is told at once", function()
    local process = command.start("sh -c " .. quote("exec 2>&1 " .. command.halo("-i")))
    process:await("> ")
    process:type "nothing = nil, halo.spawn(function() error 'boom' end)\n"
    process:await("failed: stdin:1: boom\n")
    process:type "'on'\n"
    process:await('"on"\n')
    process:finish()
  end)
end)

describe("on a terminal", function()
  local dir = temp.dir()

  ---Starts halo on a terminal of its own.
  local function start(...)
    if command.exists("script") then
      local line = "NO_COLOR=1 " .. command.halo(...)
      return command.start("script -qec " .. quote(line) .. " /dev/null")
    end
    pending("there is no script(1), which makes terminals")
  end

  it("halo alone is a prompt", function()
    local process = start()
    if process then
      process:await("> ")
      process:type "fs.stat('/').is_dir\n"
      process:await("true\r\n")
      process:await("> ")
      process:type "error 'boom'\n"
      process:await("boom\r\n")
      process:await("> ")
      process:type "\4" -- Ctrl-D
      assert.equal(0, select(3, process:finish()))
    end
  end)

  it("tasks in the background go on", function()
    local process = start()
    if process then
      process:await("> ")
      process:type "halo.spawn(function() halo.sleep(0.001) print(6 * 7) end)\n"
      process:await("42\r\n")
      process:type "\4"
      assert.equal(0, select(3, process:finish()))
    end
  end)

  it("a script has no prompt", function()
    local process = start(dir:file("script.lua", "print 'done'"))
    if process then
      local stdout, _, status = process:finish()
      assert.matches("done\r\n", stdout, 1, true)
      assert.not_matches("> ", stdout, 1, true)
      assert.equal(0, status)
    end
  end)
end)
