# Debian's packages of other releases and machines, fetched by apt's own tools and unpacked, without
# a change to this system: the lists and packages are below a directory of ours. The servers are
# those of the machine's own configuration. Sourced by kernels.sh and aarch64.sh, which set
#
#     apt_dir    an absolute directory to keep lists and packages in
#     apt_arch   the architecture

# Where Debian's own packages come from here, security updates included: one URI a line.
debian_uris() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian //p' | sort -u
}

# apt_of TOOL ARGUMENT...: apt with our lists, packages and sources.
apt_of() {
    tool=$1 && shift
    "$tool" -qq -o Dir::Etc::SourceList="$apt_dir/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$apt_dir/lists" -o Dir::State::Status="$apt_dir/status" \
        -o Dir::Cache="$apt_dir/cache" -o APT::Architecture="$apt_arch" \
        -o APT::Architectures::="$apt_arch" -o APT::Sandbox::User=root "$@"
}

# apt_lists RELEASE...: reads what there is of these releases, where the servers have them.
apt_lists() {
    mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial" && : >"$apt_dir/status"
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    for release in "$@"; do
        for uri in $(debian_uris); do
            case $uri in
            *security*) suite=$release-security ;;
            *) suite=$release ;;
            esac
            echo "deb [signed-by=$keys arch=$apt_arch] $uri $suite main"
        done
    done >"$apt_dir/sources.list"
    apt_of apt-get update >/dev/null 2>&1 || true # a release that is not there is no failure
}

# apt_unpack ROOT PACKAGE...: fetches what is not here yet, and unpacks it.
apt_unpack() {
    root=$1 && shift
    mkdir -p "$root" "$apt_dir/debs"
    (cd "$apt_dir/debs" && apt_of apt-get download "$@") || return 1
    for package in "$@"; do
        for deb in "$apt_dir/debs/${package%%:*}"_*.deb; do
            dpkg-deb -x "$deb" "$root" || return 1
        done
    done
}
