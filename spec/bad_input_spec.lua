-- What nobody meant: scripts that are none, variables of the environment with nonsense, limits that
-- make no sense. Each is refused by a line that says what is wrong, with status 1 or 2, or does no
-- harm; nothing crashes, hangs or is taken for something else.

local command = require "spec.support.command"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local tried = 0

---Asserts that a line ends with a complaint of halo's own, which matches, and prints nothing else.
local function assert_refused(pattern, line, statuses)
  tried = tried + 1
  local stdout, stderr, status = run(line)
  assert.equal("", stdout)
  assert.matches("^halo: [^\n]*" .. pattern, stderr)
  assert.is_true(status == 1 or statuses == 2 and status == 2, "status " .. status)
end

---Asserts that a line prints just this.
local function assert_harmless(expected, line)
  tried = tried + 1
  assert.same({ expected, "", 0 }, { run(line) })
end

describe("a script", function()
  local dir = temp.dir()
  local chunk = string.dump(function() print "ran" end)
  local noise = {}
  for i = 1, 4000 do
    noise[i] = string.char((i * i * 7 + i * 131) % 256)
  end

  for name, case in pairs {
    ["bytecode"] = { chunk, "bytecode" },
    ["half of a bytecode"] = { chunk:sub(1, #chunk / 2), "bytecode" },
    ["bytecode with bytes that are wrong"] = { chunk:gsub("%w", "\255"), "bytecode" },
    ["bytecode behind a first line"] = { "#!/usr/bin/halo\n" .. chunk, "bytecode" },
    ["the first byte of bytecode"] = { "\27", "bytecode" },
    ["a program"] = { "\127ELF\2\1\1\0", "unexpected symbol" },
    ["noise"] = { table.concat(noise), ":1: " },
    ["a zero byte in it"] = { "print(1)\0print(2)", "unexpected symbol" },
    ["a string without an end"] = { 'print("\255\254', "unfinished string" },
    ["brackets without an end"] = { ("{"):rep(100000), ":1: " },
  } do
    it("is refused that is " .. name, function()
      local path = dir:file("script", case[1])
      assert_refused(case[2], ("cd %s && %s"):format(quote(dir.root), command.halo "script"))
      assert_refused(case[2], ("%s <%s"):format(command.halo "-", quote(path)))
      assert_refused(".", command.halo("-e",
        ("assert(loadfile(%q))()"):format(path)))
    end)
  end

  for name, case in pairs {
    ["invalid UTF-8 in a string"] = { 'io.write("\255\254")', "\255\254" },
    ["invalid UTF-8 in a name"] = { "local \255\254x = 1 io.write(\255\254x)", "1" },
    ["a byte order mark"] = { "\239\187\191io.write(1)", "1" },
    ["nothing"] = { "", "" },
    ["a first line alone"] = { "#!/usr/bin/env halo", "" },
    ["a last line without an end"] = { "io.write(1) -- \255", "1" },
    ["lines of other systems"] = { "io.write(1)\r\nio.write(2)\r\n", "12" },
  } do
    it("may have " .. name, function()
      assert_harmless(case[2], command.halo(dir:file("script", case[1])))
    end)
  end

  it("is refused that cannot be read", function()
    assert_refused("cannot read [^\n]*directory", command.halo(dir.root))
    assert_refused("cannot open [^\n]*No such file", command.halo(dir:path "nope"))
    assert_refused("cannot open [^\n]*[Nn]ot a directory", command.halo(dir:file("x") .. "/y"))
    assert_refused("cannot open [^\n]*too long", command.halo(("x"):rep(300)))
    os.execute(("ln -s loop %s"):format(quote(dir:path "loop")))
    assert_refused("cannot open ", command.halo(dir:path "loop"))
  end)

  it("is refused that this user may not read", function()
    if run "id -u" ~= "0\n" then
      pending "only root can become another user"
    end
    local path = dir:file("script", "print 'ran'")
    os.execute(("cd %s && chmod 755 . && chmod 600 script && cp %s halo && chmod 755 halo"):format(
      quote(dir.root), quote(command.halo_bin)))
    assert_refused("cannot open [^\n]*Permission denied",
      command.as_user(quote(dir:path "halo", path)))
  end)
end)

describe("a variable of the environment", function()
  local tell = "print((halo.engine()))"

  for _, value in ipairs { "steam", "RING", " ring", "ring ", "ri\255ng", "auto,pool", "0",
    ("x"):rep(5000), "%s%n", "\n" } do
    it(("is refused: HALO_ENGINE=%.20q"):format(value), function()
      assert_refused("unknown engine", quote("env", "HALO_ENGINE=" .. value, command.halo_bin, "-e",
        tell))
    end)
  end

  for _, value in ipairs { "STRESS", "1", "stress ", "\255" } do
    it(("is refused: HALO_GC=%q"):format(value), function()
      assert_refused("unknown HALO_GC", quote("env", "HALO_GC=" .. value, command.halo_bin, "-e",
        tell))
    end)
  end

  for name, values in pairs {
    HALO_ENGINE = { "" }, HALO_GC = { "" }, COLUMNS = { "0", "-1", "nonsense", "1e300", "" },
    TERM = { "nonsense", "" }, NO_COLOR = { "\255" }, HOME = { "", "/dev/null", "\255" },
    XDG_STATE_HOME = { "", "/dev/null/x", "relative" }, LANG = { "nonsense", "\255" },
    LC_ALL = { "nonsense", "\255" }, PATH = { "", "\255" }, LUA_PATH = { "\255;;;", "" },
    LUA_CPATH = { ";;;;", "" }, LD_LIBRARY_PATH = { "/nope" }, TZ = { "nonsense" },
  } do
    it("does no harm: " .. name, function()
      for _, value in ipairs(values) do
        local set = quote("env", "HALO_ENGINE=pool", name .. "=" .. value)
        assert_harmless("1\n", set .. " " .. command.halo("-e", "print(1)"))
        local stdout, _, status = run(("echo 'return 40 + 2' | %s %s"):format(set,
          command.halo "-i"))
        assert.equal(0, status)
        assert.matches("42", stdout, 1, true)
      end
    end)
  end

  it("is told: TMPDIR", function()
    for _, value in ipairs { "/nope", "/t\255", "/dev/null", ("x"):rep(5000) } do
      assert_harmless("nil\n", quote("env", "TMPDIR=" .. value, command.halo_bin, "-e",
        "local _, message, code = fs.mkdtemp() print((message:match('^' .. code)) and nil)"))
    end
  end)
end)

describe("halo.configure", function()
  local absurd = { "0", "-1", "0.5", "1e300", "-1e300", "0/0", "1/0", "2^53", "4294967296",
    "4294967297", "'many'", "''", "{}", "true", "print", "2^31" }

  local function configure(options)
    return command.halo("-e", ("require('halo').configure(%s)"):format(options))
  end

  for _, name in ipairs { "max_files", "max_in_flight", "pool_threads" } do
    it("refuses limits that make no sense: " .. name, function()
      for _, value in ipairs(absurd) do
        assert_refused(("bad argument #1 to 'configure' %%(%s must be a whole number from 1")
          :format(name), configure(("{ %s = %s }"):format(name, value)))
      end
    end)

    it("works at its limits: " .. name, function()
      local most = tonumber(run(configure(("{ %s = 0 }"):format(name)) .. " 2>&1")
        :match "from 1 to (%d+)")
      for _, value in ipairs { 1, most } do
        for _, engine in ipairs { "pool", "auto" } do
          assert_harmless("true\n", command.halo("--engine=" .. engine, "-e", ([[
            halo.configure { %s = %d }
            local numbers = {}
            for i = 1, 50 do numbers[i] = i end
            halo.map(numbers, function() assert(fs.readfile "/proc/self/comm") end)
            print(true)]]):format(name, value)))
        end
      end
      assert_refused("must be a whole number", configure(("{ %s = %d }"):format(name, most + 1)))
    end)
  end

  it("refuses what is no engine, no option and no table", function()
    for options, pattern in pairs {
      ["{ engine = 'steam' }"] = "unknown engine 'steam'",
      ["{ engine = '' }"] = "unknown engine ''",
      ["{ engine = 1 }"] = "engine must be a string",
      ["{ engine = {} }"] = "engine must be a string",
      ["{ nope = 1 }"] = "no option 'nope'", ["{ 1 }"] = "no option '?'",
      ["{ [{}] = 1 }"] = "no option", [""] = "table expected", ["1"] = "table expected",
      ["'pool'"] = "table expected",
    } do
      assert_refused(pattern:gsub("%p", "%%%0"), configure(options))
    end
  end)
end)

describe("the command line", function()
  for _, arguments in ipairs { { "--nope" }, { "--engine=" }, { "--engine=steam" }, { "-e" },
    { "--engine" }, { "-x" }, { "--\255" } } do
    it("is refused: " .. table.concat(arguments, " "), function()
      assert_refused(".", command.halo(unpack(arguments)), 2)
    end)
  end

  teardown(function()
    survived.tell_of_file { name = "bad_input",
      kind = "scripts, variables and limits that make no sense",
      tried = tried, unit = "inputs",
      command = "make test SPEC=spec/bad_input_spec.lua" }
  end)
end)
