-- The functions of halo.fs that are loaded on first use, and the modules that hold them. Those that
-- take a path are in halo.fs.by_path too, once their module is loaded.

return {
  at = "halo.fs.at",
  copy = "halo.fs.copy",
  copytree = "halo.fs.copy",
  dir = "halo.fs.dir",
  glob = "halo.fs.glob",
  hash = "halo.fs.hash",
  lines = "halo.fs.lines",
  mkdtemp = "halo.fs.temp",
  mkstemp = "halo.fs.temp",
  move = "halo.fs.copy",
  poll = "halo.fs.poll",
  readfile = "halo.fs.readfile",
  readfile_into = "halo.fs.readfile",
  rmtree = "halo.fs.rmtree",
  tempfile = "halo.fs.temp",
  walk = "halo.fs.walk",
  watch = "halo.fs.watch",
  writefile = "halo.fs.writefile",
}
