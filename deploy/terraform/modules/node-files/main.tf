locals {
  config_file = "/etc/hacluster/hacluster.yaml"
  user        = "hacluster-agent"    # that of the unit and of the packages
  tls_dir     = "/etc/hacluster/tls" # where the agent looks unless its configuration says otherwise

  # Nodes that are found by their tag are all alike: one set of files, one policy.
  members = var.discovery == null ? { for name, n in var.nodes : name => { witness = n.witness } } : { node = { witness = false } }

  configs = { for name, _ in local.members : name => templatefile("${path.module}/templates/hacluster.yaml.tftpl", {
    cluster       = var.cluster
    region        = var.region
    allocation_id = var.eip.allocation_id
    node          = name
    nodes         = var.nodes
    discovery     = var.discovery
    settings      = var.settings
    insecure      = var.tls_parameters == null
  }) }

  # The unit of the packages, for a program that is where programs without a package are.
  unit = replace(file("${path.module}/../../../systemd/hacluster.service"), "/usr/bin/hacluster", "/usr/local/bin/hacluster")

  bootstraps = { for name, n in local.members : name => templatefile("${path.module}/templates/bootstrap.sh.tftpl", {
    cluster      = var.cluster
    region       = var.region
    architecture = var.architecture
    user         = local.user
    discovered   = var.discovery != null
    witness      = n.witness
    prepare      = var.prepare
    program      = var.program
    file         = var.program.kind == "package" ? "hacluster.deb" : "hacluster"
    config_file  = local.config_file
    tls_dir      = local.tls_dir
    tls_path     = var.tls_parameters == null ? null : "${var.tls_parameters.path}/${name}"
    logs         = var.log_group != null
    shell_access = var.shell_access
  }) }

  packages = { for name, n in local.members : name => concat(
    ["awscli", "ca-certificates", "curl"],
    n.witness ? [] : ["haproxy"],
    var.log_group == null ? [] : ["rsyslog"],
  ) }

  # Deferred files are written after the packages are installed: dpkg would stumble over a configuration that is there
  # before HAProxy is.
  files = { for name, n in local.members : name => concat(
    [
      { path = local.config_file, permissions = "0644", content = local.configs[name] },
      { path = "/usr/local/sbin/hacluster-bootstrap", permissions = "0755", content = local.bootstraps[name] },
    ],
    var.program.kind == "package" ? [] : [
      { path = "/etc/systemd/system/hacluster.service", permissions = "0644", content = local.unit },
    ],
    n.witness ? [] : [
      { path = "/etc/haproxy/haproxy.cfg", permissions = "0644", content = var.haproxy_config, defer = true },
    ],
    var.log_group == null ? [] : [
      { path = "/etc/hacluster/cloudwatch.json", permissions = "0644", content = local.cloudwatch[name] },
    ],
  ) }

  # Debian's image prefers a mirror inside AWS, which has no IPv6; the nodes have no way out over IPv4. Without the prefix it is the public
  # one, which has.
  public_mirrors = "sed -i 's#//cdn-aws[.]#//#' /etc/apt/mirrors/*.list || true"

  user_data = { for name, _ in local.members : name => join("\n", ["#cloud-config", yamlencode(merge({
    manage_etc_hosts = true
    bootcmd          = [local.public_mirrors]
    package_update   = true
    packages         = local.packages[name]
    write_files      = local.files[name]
    runcmd           = [["/usr/local/sbin/hacluster-bootstrap"]]
  }, { for key, value in { hostname = name } : key => value if var.discovery == null }))]) }

  cloudwatch = { for name, _ in local.members : name => var.log_group == null ? null : jsonencode({
    agent = { run_as_user = "root" }
    logs = { logs_collected = { files = { collect_list = [for program, file in {
      hacluster = "/var/log/syslog"
      haproxy   = "/var/log/haproxy.log"
      } : {
      file_path       = file
      log_group_name  = var.log_group.name
      log_stream_name = var.discovery == null ? "${name}/${program}" : "{instance_id}/${program}"
      filters         = [{ type = "include", expression = program }]
    }] } } }
  }) }
}
