-- README.md: what it shows works, and what it names is there.

local command = require "spec.support.command"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

---The lines of README.md; none while it is not written.
local function read_lines()
  local lines, file = {}, io.open("README.md")
  if file then
    for line in file:lines() do
      table.insert(lines, line)
    end
    file:close()
  end
  return lines
end

local lines = read_lines()

---The fenced blocks of a language, each with the line it begins at.
local function blocks(language)
  local found, block = {}, nil
  for number, line in ipairs(lines) do
    if block and line == "```" then
      block.code = table.concat(block, "\n") .. "\n"
      table.insert(found, block)
      block = nil
    elseif block then
      table.insert(block, line)
    elseif line == "```" .. language then
      block = { line = number + 1 }
    end
  end
  return found
end

---Each command of the sh blocks, without comments.
local function commands()
  local found = {}
  for _, block in ipairs(blocks "sh") do
    for _, line in ipairs(block) do
      local words = line:gsub("%s+#.*$", ""):gsub("^%$%s+", "")
      if words:find("%S") then
        table.insert(found, words)
      end
    end
  end
  return found
end

local function exists(path)
  return os.execute("test -e " .. quote(path)) == 0
end

describe("README.md", function()
  local dir = temp.dir()

  if #lines == 0 then
    it("has examples that work", function()
      pending("README.md is not written yet")
    end)
    return
  end

  it("has examples", function()
    assert.is_true(#blocks "lua" > 0)
    assert.is_true(#commands() > 0)
  end)

  for _, block in ipairs(blocks "lua") do
    it("has an example that works in line " .. block.line, function()
      -- With as many lines in front, an error names the line of README.md.
      dir:file("README.md", ("\n"):rep(block.line - 1) .. block.code)
      local stdout, stderr, status = run(("cd %s && %s"):format(quote(dir.root),
        command.halo("README.md")))
      assert.same({ "", 0 }, { stderr, status })
      stdout = stdout:gsub("[ \t]+", " ")
      for promised in block.code:gmatch("%-%->%s*([^\n]+)") do
        assert.matches(promised:gsub("[ \t]+", " "), stdout, 1, true)
      end
    end)
  end

  for _, words in ipairs(commands()) do
    local target = words:match("^make%s+(%l+)")
    if target then
      it("names a target that there is: " .. words, function()
        assert.equal(0, os.execute(("grep -q '^%s:' Makefile"):format(target)))
      end)
    elseif words:match("^build/halo") then
      it("has a command that works: " .. words, function()
        -- Where the reader has written script.lua and started in the project's directory.
        dir:file("script.lua", "")
        dir:symlink("build", command.build_dir)
        dir:symlink("examples", (run("pwd"):gsub("\n", "/examples")))
        local _, stderr, status = run(("cd %s && %s"):format(quote(dir.root), words))
        assert.same({ "", 0 }, { stderr, status })
      end)
    else
      it("names files that there are: " .. words, function()
        for path in words:gmatch("%f[%w.][%w_.-]+/[%w_./-]+") do
          assert.is_true(exists(path), path)
        end
      end)
    end
  end

  it("links to files that there are", function()
    for _, line in ipairs(lines) do
      for path in line:gmatch("%]%(([^)#]+)%)") do
        assert.is_true(path:match("^%a+://") ~= nil or exists(path), path)
      end
    end
  end)

  it("names folders and examples that there are", function()
    for _, line in ipairs(lines) do
      local folder, rest = line:match("^| `([%w/_.]+/)` |(.*)")
      assert.is_true(not folder or exists(folder), folder)
      for name in (folder == "examples/" and rest or ""):gmatch("`(%l+)`") do
        assert.is_true(exists("examples/" .. name .. ".lua"), name)
      end
    end
  end)

  it("names functions that there are", function()
    local halo, missing = require "halo", {}
    for _, line in ipairs(lines) do
      for module, name in line:gmatch("%f[%w]([hf]%a+)%.([%l_]+)") do
        local functions = module == "halo" and halo or module == "fs" and halo.fs
        local is_file = name == "h" or name == "lua" or name == "so"
        if functions and functions[name] == nil and not is_file then
          table.insert(missing, module .. "." .. name)
        end
      end
    end
    assert.equal("", table.concat(missing, " "))
  end)
end)
