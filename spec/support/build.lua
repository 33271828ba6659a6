-- Programs and libraries of spec/support, written in C, which are built when a spec first needs
-- them: they lie beside halo's own products.

local command = require "spec.support.command"

local quote, run = command.quote, command.run

local build = {}

local function compile(name, product, flags)
  local compiler = os.getenv "CC" or command.exists("cc") and "cc"
    or command.exists("gcc") and "gcc"
  if not compiler then
    return nil, "there is no C compiler"
  end
  local source = ("spec/support/%s.c"):format(name)
  -- Made aside, since another process may be running the one that is there, or make it as well.
  local new = quote(product) .. ".$$"
  local line = ("test %s -nt %s || { %s -Wall -Wextra -D_GNU_SOURCE -o %s %s %s && mv %s %s; }")
    :format(quote(product), source, compiler, new, source, flags or "", new, quote(product))
  local _, stderr, status = run(line)
  assert(status == 0, stderr)
  return product
end

---Builds spec/support/NAME.c into a program. Nil and a reason where that is not possible.
---@param name string
---@param flags string? more of them, libraries too
---@return string? path
---@return string? reason
function build.program(name, flags)
  return compile(name, ("%s/%s"):format(command.build_dir, name), flags)
end

---The same, into a library that can be preloaded.
---@param name string
---@return string? path
---@return string? reason
function build.library(name)
  return compile(name, ("%s/%s.so"):format(command.build_dir, name), "-shared -fPIC -ldl")
end

return build
