-- Patterns: classes, ranges in braces, and what is broken. What matches is what bash matches.

local halo = require "halo"
local fs = halo.fs
local braces = require "halo.fs.braces"
local command = require "spec.support.command"
local random = require "spec.support.random"
local temp = require "spec.support.temp"
require "spec.support.assertions"

---Runs lines of bash in a directory, in the C locale.
local function bash(root, lines)
  local script = root .. ".sh"
  local file = assert(io.open(script, "w"))
  assert(file:write("shopt -s globstar nullglob\n", lines))
  assert(file:close())
  local stdout, stderr, status = command.run(("cd %s && LC_ALL=C bash %s"):format(
    command.quote(root), command.quote(script)))
  os.remove(script)
  assert.same({ "", 0 }, { stderr, status })
  return stdout
end

describe("classes in patterns", function()
  local dir = temp.dir()

  local samples = {
    alnum = "aZ5", alpha = "aZ", ascii = "a~\1", blank = " \t", cntrl = "\1\127", digit = "059",
    graph = "!a~", lower = "az", print = " a~", punct = "!@[`{~", space = " \n\t", upper = "AZ",
    word = "aZ5_", xdigit = "0afAF",
  }

  it("match what they are named for in the C locale, and nothing else", function()
    for byte = 1, 255 do
      if byte ~= ("/"):byte() and byte ~= ("."):byte() then
        dir:file(string.char(byte))
      end
    end
    for class, letters in pairs(samples) do
      local found = {}
      for _, name in ipairs(assert(fs.glob("[[:" .. class .. ":]]", { dir = dir.root }))) do
        found[name] = true
      end
      for letter in letters:gmatch "." do
        assert.is_true(found[letter], class .. " of " .. letter)
      end
      for _, name in ipairs(assert(fs.glob("[![:" .. class .. ":]]", { dir = dir.root }))) do
        assert.is_nil(found[name])
        found[name] = true
      end
      for byte = 128, 255 do
        assert.is_true(found[string.char(byte)])
      end
    end
    if command.exists "bash" then
      for class in pairs(samples) do
        local lines = ("printf '%%s/' [[:%s:]]"):format(class)
        local expected = {}
        for name in bash(dir.root, lines):gmatch "[^/]+" do
          table.insert(expected, name)
        end
        table.sort(expected)
        assert.same(expected, fs.glob("[[:" .. class .. ":]]", { dir = dir.root }), class)
      end
    end
  end)

  it("stand beside characters, ranges and each other", function()
    for _, name in ipairs { "a1", "b_", "c-", "d]", "e:", "f.", "gx", "h[" } do
      dir:file(name)
    end
    for pattern, expected in pairs {
      ["?[[:digit:]]"] = { "a1" },
      ["?[[:digit:]_]"] = { "a1", "b_" },
      ["?[[:digit:][:lower:]]"] = { "a1", "gx" },
      ["?[![:alnum:]_.]"] = { "c-", "d]", "e:", "h[" },
      ["?[^[:punct:]]"] = { "a1", "gx" },
      ["?[][:digit:]]"] = { "a1", "d]" },
      ["?[[:digit:]-]"] = { "a1", "c-" },
      ["?[[.-.]]"] = { "c-" },
      ["?[[.].][=x=]]"] = { "d]", "gx" },
      ["?[[.0.]-[.9.]]"] = { "a1" },
      ["?[\\[:]"] = { "e:", "h[" },
      ["?[:x]"] = { "e:", "gx" },
      ["[[:alpha:]][[:digit:]]"] = { "a1" },
    } do
      assert.same(expected, fs.glob(pattern, { dir = dir.root }), pattern)
    end
  end)

  it("raise where they are broken, and say what is", function()
    for pattern, problem in pairs {
      ["x/[[:numbers:]]"] = "no class [:numbers:], but alnum, alpha, ascii, blank, cntrl, digit, "
        .. "graph, lower, print, punct, space, upper, word, xdigit",
      ["{a,[[:digit:]}"] = "a set with a class in it is not closed: "
        .. "it takes two brackets, as [[:digit:]]",
      ["[[:digit"] = "[: in a set is not closed by :]; the bracket alone is \\[",
      ["[[=a]"] = "[= in a set is not closed by =]; the bracket alone is \\[",
      ["[[.hyphen.]]"] = "[..] stands for one character in this locale, not for 6",
      ["[a-[:digit:]]"] = "a class cannot be the end of a range",
    } do
      assert.misuse(("bad argument #1 to 'glob' (%s)"):format(problem),
        function() fs.glob(pattern) end)
    end
  end)
end)

describe("braces in patterns", function()
  local dir = temp.dir()

  it("stand for each of a range", function()
    for text, expected in pairs {
      ["{1..3}"] = { "1", "2", "3" },
      ["x{3..1}y"] = { "x3y", "x2y", "x1y" },
      ["{a..e..2}"] = { "a", "c", "e" },
      ["{e..a..2}"] = { "e", "c", "a" },
      ["{01..10..4}"] = { "01", "05", "09" },
      ["{1..10..2}"] = { "1", "3", "5", "7", "9" },
      ["{-1..1}"] = { "-1", "0", "1" },
      ["{-01..1}"] = { "-01", "000", "001" },
      ["{1..2}{a..b}"] = { "1a", "1b", "2a", "2b" },
      ["{x,{1..2},{a,b}}"] = { "x", "1", "2", "a", "b" },
      ["{1..2,3}"] = { "1..2", "3" },
    } do
      assert.same(expected, braces.expand(text), text)
    end
  end)

  it("stay as they are where bash leaves them so", function()
    for _, text in ipairs { "{}", "{a}", "{1..}", "{..1}", "{a..3}", "{aa..c}", "{1..x}", "{1...3}",
      "{1..3..}", "{1..3..x}", "{1.5..2}", "{1..3", "1..3}", "{1\\..3}", "{a\\,b}", "{a,b", "{},a}",
      "{\195\164..\195\182}", "{a..{1..2}}", "\\{1..3\\}" } do
      assert.same({ text }, braces.expand(text))
    end
  end)

  it("find files", function()
    for _, name in ipairs { "log.1", "log.2", "log.10", "log.02", "{1..x}", "b" } do
      dir:file(name)
    end
    for pattern, expected in pairs {
      ["log.{1..10}"] = { "log.1", "log.10", "log.2" },
      ["log.{01..10}"] = { "log.02", "log.10" },
      ["{a..c}"] = { "b" },
      ["{1..x}"] = { "{1..x}" },
      ["{log.{2..1},[[:lower:]]}"] = { "b", "log.1", "log.2" },
    } do
      assert.same(expected, fs.glob(pattern, { dir = dir.root }), pattern)
    end
  end)

  it("raise where they stand for too much", function()
    for text, problem in pairs {
      ["{1..1000000000000}"] = "more than 10000 alternatives",
      ["{1..101}{1..100}"] = "more than 10000 alternatives",
      ["{1..9007199254740993}"] = "a range has a number beyond 2^53: 9007199254740993",
      [("{a,"):rep(200) .. ("}"):rep(200)] = "more than 100 braces one in the other",
    } do
      assert.misuse(("bad argument #1 to 'glob' (%s)"):format(problem),
        function() fs.glob(text) end)
    end
    assert.equal(10000, #braces.expand "{1..10000}")
  end)
end)

describe("patterns at random", function()
  local dir = temp.dir()
  local ROUNDS = 400

  ---One of the words of a text.
  local function pick(number, text)
    local words = {}
    for word in text:gmatch "%S+" do
      words[#words + 1] = word
    end
    return words[number(#words)]
  end

  local function some(number, most, make, separator)
    local parts = {}
    for i = 1, number(most) do
      parts[i] = make(number, number)
    end
    return table.concat(parts, separator)
  end

  -- Without [=a=], of which bash forgets that the set ends behind it.
  local element = random.chooser {
    { 4, function(number) return pick(number, "a b c B 1 2 - _ . ] [ ^ { }") end },
    { 2, function(number) return pick(number, "a-c b-a A-z 0-9 +-- \\a-c [.a.]-c 1-\\2") end },
    { 3, function(number) return "[:" .. pick(number, "alpha digit upper punct word") .. ":]" end },
    { 1, function(number) return pick(number, "[.a.] [.b.] \\] \\- \\[ \\\\") end },
  }

  local piece

  local inside_braces = random.chooser {
    { 2, function(number) return some(number, 3, piece, ",") end },
    { 2, function(number)
      return pick(number, "1 2 01 a b -1 0 c") .. ".."
        .. pick(number, "3 03 c 1 a 2..2 03..-2 d..0")
    end },
    { 1, function(number) return pick(number, "a .. 1.. ..2 a..2 1..2..x a\\,b") end },
  }

  piece = random.chooser {
    { 8, function(number) return pick(number, "a b c 1 2 - _ . B 01") end },
    { 5, function(number) return pick(number, "* ? * ** \\a \\* [ ] { } , ..") end },
    { 5, function(number)
      return "[" .. pick(number, "! ^ a 1 b") .. some(number, 3, element) .. "]"
    end },
    { 3, function(number) return "{" .. inside_braces(number, number) .. "}" end },
  }

  it("find what they find in bash", function()
    if not command.exists "bash" then
      pending "there is no bash"
    end
    local number = random.new(random.seed "patterns at random")
    for name in ("a b c B 1 2 - _ ] [ { } 01 03 {a} a,b [a] .a ..a * \\ ^ ..."):gmatch "%S+" do
      dir:file(name)
    end
    for _ = 1, 80 do
      dir:file(some(number, 4, function() return pick(number, "a b c 1 2 - _ . B ] [") end) .. "a")
    end
    local patterns, lines = {}, {}
    for i = 1, ROUNDS do
      patterns[i] = some(number, 4, piece)
      lines[i] = ("for name in %s; do [ -e \"$name\" ] && printf '%%s\\n' \"$name\"; done | "
        .. "sort -u; echo /\n"):format(patterns[i])
    end
    local i, raised = 0, 0
    for block in bash(dir.root, table.concat(lines)):gmatch "(.-)/\n" do
      i = i + 1
      local ok, found = pcall(fs.glob, patterns[i], { dir = dir.root })
      raised = raised + (ok and 0 or 1)
      if ok then
        local listed = #found > 0 and table.concat(found, "\n") .. "\n" or ""
        assert.equal(block, listed, patterns[i])
      end
    end
    assert.equal(ROUNDS, i)
    assert.is_true(raised < ROUNDS / 10, raised .. " were broken")
  end)
end)
