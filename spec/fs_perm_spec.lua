-- Permission bits as numbers, octal digits and words, against chmod(1) itself.

local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local random = require "spec.support.random"
require "spec.support.assertions"
local temp = require "spec.support.temp"

local function octal(digits)
  return tonumber(digits, 8)
end

local MISTAKEN = { 600, 640, 644, 660, 664, 666, 700, 750, 755, 770, 775, 777 }
local ROUNDS = 300

describe("permissions", function()
  local dir = temp.dir()
  local umask

  setup(function()
    umask = fs.umask(octal "022")
  end)

  teardown(function()
    fs.umask(umask)
  end)

  ---Each way to create something, and what it has by default.
  local ways = {
    open = { "644", function(path, perm) return fs.open(path, "w", perm) end },
    create = { "644", function(path, perm) return fs.create(path, perm) end },
    mkdir = { "777", function(path, perm) return fs.mkdir(path, perm) end },
    ["mkdir with options"] = { "777", function(path, perm)
      return fs.mkdir(path, { perm = perm })
    end },
    ["mkdir with parents"] = { "777", function(path, perm)
      return fs.mkdir(path, { perm = perm, parents = true })
    end },
    mkfifo = { "644", function(path, perm) return fs.mkfifo(path, perm) end },
    mknod = { "644", function(path, perm) return fs.mknod(path, "file", perm) end },
    writefile = { "644", function(path, perm) return fs.writefile(path, "x", { perm = perm }) end },
    ["an atomic writefile"] = { "644", function(path, perm)
      return fs.writefile(path, "x", { perm = perm, atomic = true })
    end },
    ["Dir:create"] = { "644", function(path, perm)
      local at = assert(fs.at(dir.root))
      return at:create(path:match "[^/]*$", perm), at:close()
    end },
  }
  ---The same for what is there.
  local changes = {
    chmod = function(path, mode) return fs.chmod(path, mode) end,
    fchmod = function(path, mode)
      local file = assert(fs.open(path))
      local ok, message, code = file:chmod(mode)
      file:close()
      return ok, message, code
    end,
    ["Dir:chmod"] = function(path, mode)
      local at = assert(fs.at(dir.root))
      return at:chmod(path:match "[^/]*$", mode), at:close()
    end,
  }

  for name, way in pairs(ways) do
    it("are numbers, digits or words for " .. name, function()
      local default, make = octal(way[1]), way[2]
      local rows = {
        { octal "640", octal "640" }, { "640", octal "640" }, { "0600", octal "600" },
        { "u=rwx,go=", octal "700" }, { "go-rwx", bit.band(default, octal "700") },
        { "a-w", bit.band(default, octal "555") }, { "=", 0 }, { nil, default },
        { "+x", bit.bor(default, octal "111") },
      }
      for i = 1, #rows do
        local path = dir:path("new" .. i)
        assert(make(path, rows[i][1]))
        assert.equal(bit.band(rows[i][2], bit.bnot(octal "022")), fs.stat(path, "perm"),
          tostring(rows[i][1]))
      end
    end)

    it("that are a mistake raise for " .. name, function()
      local path = dir:path "never"
      for _, value in ipairs(MISTAKEN) do
        local ok, message = pcall(function() way[2](path, value) end)
        assert.is_false(ok)
        local way_out = ('write "%d", or %d'):format(value, octal(tostring(value)))
        assert.matches(way_out, message, 1, true)
      end
      for _, value in ipairs { "u=q", "", "rw", "u", "8", "77777", "u=rw;g=r", "644 ", "=7,", true,
        -1, 1.5, 4096, "u=755" } do
        local ok, message = pcall(function() way[2](path, value) end)
        assert.is_false(ok, tostring(value))
        assert.matches("bad argument #%d to '%w+' %(permissions are", message)
      end
      assert.is_false(fs.exists(path))
    end)
  end

  for name, change in pairs(changes) do
    it("are changed, or raise, by " .. name, function()
      local path = dir:file "file"
      assert.is_true(change(path, "u=rw,go=r"))
      assert.equal(octal "644", fs.stat(path, "perm"))
      assert.is_true(change(path, "+x"))
      assert.equal(octal "755", fs.stat(path, "perm"))
      assert.is_true(change(path, fs.stat(path, "mode")))
      assert.is_true(change(path, fs.stat(path, "perm")))
      assert.equal(octal "755", fs.stat(path, "perm"))
      assert.is_true(change(path, "4711"))
      assert.equal(octal "4711", fs.stat(path, "perm"))
      for _, value in ipairs(MISTAKEN) do
        assert.is_false(pcall(change, path, value))
      end
      assert.is_false(pcall(change, path, octal "200644"))
      assert.is_false(pcall(change, path, nil))
      assert.equal(octal "4711", fs.stat(path, "perm"))
    end)
  end

  it("in words are refused for what is not there", function()
    local path = dir:path "missing"
    assert.refused("ENOENT: no such file or directory: " .. path, fs.chmod(path, "+x"))
  end)

  it("of the mask are a number or digits", function()
    assert.equal(octal "022", fs.umask "027")
    assert.equal(octal "027", fs.umask(octal "022"))
    assert.misuse("bad argument #1 to 'umask' (a mask is a number, or octal digits (\"022\"))",
      function() fs.umask "go-w" end)
  end)

  -- Words as they are made by chance, mostly right ones.
  local function some_words(number)
    local function some(set, most)
      local text = ""
      for _ = 1, number(0, most) do
        local i = number(#set)
        text = text .. set:sub(i, i)
      end
      return text
    end
    local clauses = {}
    for i = 1, number(3) do
      local clause = some("ugoa", 2)
      for _ = 1, number(2) do
        local values = { some("rwxXst", 4), some("ugo", 1), some("01234567", 3) }
        clause = clause .. some("+-=", 1) .. values[number(10) > 7 and number(2, 3) or 1]
      end
      clauses[i] = clause
    end
    return table.concat(clauses, ",")
  end

  it("in words are what chmod(1) makes of them", function()
    local number = random.new(random.seed "permissions")
    local script, cases = {}, {}
    local quote = command.quote
    local is_root = fs.access("/etc/shadow", "w")
    for i = 1, ROUNDS do
      local case = {
        words = some_words(number), start = number(0, 4095), dir = number(3) == 1,
        mask = ({ "022", "027", "077", "000", "002" })[number(5)],
      }
      if not is_root then -- who may not give a file to a group loses its bit
        case.start = bit.band(case.start, octal "3777")
      end
      for _, name in ipairs { "ours", "theirs" } do
        local path = dir:path(name .. i)
        if case.dir then assert(fs.mkdir(path)) else dir:file(name .. i) end
        assert(fs.chmod(path, ("%o"):format(case.start)))
      end
      cases[i] = case
      script[i] = ("umask %s; chmod -- %s %s && echo yes || echo no"):format(case.mask,
        quote(case.words), quote(dir:path("theirs" .. i)))
    end
    dir:file("script", table.concat(script, "\n"))
    local answers = command.run("sh " .. quote(dir:path "script") .. " 2>/dev/null")
    local i = 0
    for answer in answers:gmatch "%a+" do
      i = i + 1
      local case = cases[i]
      fs.umask(case.mask)
      local ok = pcall(fs.chmod, dir:path("ours" .. i), case.words)
      local text = ("chmod %s from %o, umask %s%s"):format(case.words, case.start, case.mask,
        case.dir and ", a directory" or "")
      local is_digits = case.words:match "^[0-7]+$" -- chmod(1) spares the bits of a directory then
      -- chmod(1) fails where the umask leaves less than it seems to say.
      local theirs = fs.stat(dir:path("theirs" .. i), "perm")
      local ours = fs.stat(dir:path("ours" .. i), "perm")
      if not (is_digits and case.dir) then
        assert.equal(("%o"):format(theirs), ("%o"):format(ours), text)
        if answer == "yes" then assert.is_true(ok, text) end
      end
    end
    assert.equal(ROUNDS, i)
    fs.umask "022"
  end)
end)
