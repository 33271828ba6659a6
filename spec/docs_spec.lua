-- Every public function is documented where it is defined, and named in the README's reference.

local halo = require "halo"
local fs = require "halo.fs"

local function read(path)
  return assert(fs.readfile(path))
end

---All sources of lua/halo in one text, without the two that are programs.
local function sources()
  local texts = {}
  for _, entry in ipairs(fs.glob("lua/halo/**/*.lua")) do
    if not entry:match "cli" and not entry:match "repl" then
      texts[#texts + 1] = "\n" .. read(entry)
    end
  end
  return table.concat(texts)
end

---The comment right above a definition, as one text; "" where there is none.
local function comment_above(text, pattern)
  local at = text:find(pattern)
  if not at then
    return nil
  end
  local lines = {}
  local before = text:sub(1, at - 1) .. "\n"
  for line in before:gmatch "([^\n]*)\n" do
    if line:sub(1, 3) == "---" then
      lines[#lines + 1] = line
    else
      lines = {}
    end
  end
  return table.concat(lines, "\n")
end

-- What is loaded only when it is asked for counts as well.
assert(halo.copy and halo.lines and halo.poll)
for name in pairs(getmetatable(fs).modules) do
  assert(fs[name], name)
end

local text = sources()
local readme = read "README.md"

local function parameters_of(definition)
  local names = {}
  for name in definition:gmatch "[%w_]+" do
    names[#names + 1] = name
  end
  return names
end

local owners = { run = "halo", poll = "halo", copy = "streams", lines = "streams" }

describe("the documentation", function()
  for module_name, module in pairs { fs = fs, halo = halo } do
    for name, value in pairs(module) do
      if type(value) == "function" then
        it(("tells what %s.%s does and takes"):format(module_name, name), function()
          -- Others have functions of these names, too: by_path, and the prompt of a program.
          local owner = module_name == "fs" and "fs" or owners[name] or "[%w_]+"
          local head = "\nfunction " .. owner .. "%." .. name .. "%("
          local comment = comment_above(text, head)
          if not comment then -- one that is defined in another module
            assert.matches("[%w_]+%." .. name .. "[%w_., ]* = ", text)
            return
          end
          assert.matches("^%-%-%-[%u\"]", comment, 1, false, "no sentence above " .. name)
          for _, parameter in ipairs(parameters_of(text:match(head .. "(.-)%)") or "")) do
            assert.matches("---@param " .. parameter .. "%?? ", comment)
          end
        end)

        it(("names %s.%s in README.md"):format(module_name, name), function()
          assert.matches("%f[%w_]" .. name .. "%f[^%w_]", readme)
        end)
      end
    end
  end
end)
