variable "cluster" {
  description = "Name of the cluster: in the configuration, in tags and in names of resources."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$", var.cluster))
    error_message = "cluster must begin with a letter, end with a letter or digit, hold lower-case letters, digits and '-' only, and be at most 24 long: it becomes part of the names of buckets and roles."
  }
}

variable "region" {
  description = "AWS region of the nodes and of the Elastic IP."
  type        = string
  nullable    = false
}

variable "architecture" {
  description = "Processor of the nodes in Debian's words: arm64 or amd64."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["arm64", "amd64"], var.architecture)
    error_message = "architecture must be arm64 (Graviton) or amd64 (x86)."
  }
}

variable "eip" {
  description = "The Elastic IP that moves."
  type        = object({ allocation_id = string, arn = string })
  nullable    = false
}

variable "nodes" {
  description = "Every node by name. A witness votes, but never holds the Elastic IP and runs no HAProxy."
  type = map(object({
    address       = string
    priority      = number
    witness       = optional(bool, false)
    interface_arn = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = var.discovery == null || length(var.nodes) == 0
    error_message = "Set either nodes or discovery."
  }
  validation {
    condition     = var.discovery != null || length(var.nodes) >= 3 && length(var.nodes) <= 9
    error_message = "nodes must be 3 to 9: fewer do not survive the loss of one, more make every write slower. An odd number is best."
  }
  validation {
    condition     = alltrue([for name, _ in var.nodes : can(regex("^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$", name))])
    error_message = "The name of a node must hold lower-case letters, digits and '-' only, and be at most 32 long, for example lb-1."
  }
  validation {
    condition     = alltrue([for n in values(var.nodes) : can(cidrnetmask("${n.address}/32"))])
    error_message = "The address of a node must be its private IPv4 address."
  }
  validation {
    condition     = length(distinct([for n in values(var.nodes) : n.address])) == length(var.nodes)
    error_message = "Two nodes have the same address."
  }
  validation {
    condition     = alltrue([for n in values(var.nodes) : n.priority >= 1 && n.priority <= 254 && floor(n.priority) == n.priority])
    error_message = "The priority of a node must be a whole number from 1 to 254."
  }
  validation {
    condition     = var.discovery != null || anytrue([for n in values(var.nodes) : !n.witness])
    error_message = "Every node is a witness, so none can hold the Elastic IP."
  }
}

variable "discovery" {
  description = "In place of nodes: they are the instances with the tag hacluster=CLUSTER, all alike, and expect of them make the cluster. See docs/DISCOVERY.md."
  type        = object({ expect = number })
  default     = null

  validation {
    condition     = var.discovery == null ? true : contains([3, 5, 7, 9], var.discovery.expect)
    error_message = "discovery.expect must be 3, 5, 7 or 9: an even number survives no more failures than the one below it."
  }
}

variable "settings" {
  description = "Keys of hacluster's configuration; docs/config.example.yaml explains them."
  type = object({
    profile           = optional(string, "default")
    fencing           = optional(string, "balanced")
    drift             = optional(string, "repair")
    virtual_router_id = optional(number, 51)
    port              = optional(number, 7400)
    health_url        = optional(string, "http://127.0.0.1:80/healthz")
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["default", "fast"], var.settings.profile)
    error_message = "settings.profile must be default or fast."
  }
  validation {
    condition     = contains(["balanced", "strict", "fast"], var.settings.fencing)
    error_message = "settings.fencing must be balanced, strict or fast."
  }
  validation {
    condition     = contains(["repair", "respect"], var.settings.drift)
    error_message = "settings.drift must be repair or respect."
  }
  validation {
    condition     = var.settings.virtual_router_id >= 1 && var.settings.virtual_router_id <= 255
    error_message = "settings.virtual_router_id must be from 1 to 255."
  }
  validation {
    condition     = var.settings.port >= 1024 && var.settings.port <= 65535
    error_message = "settings.port must be from 1024 to 65535: the agent does not run as root."
  }
}

variable "haproxy_config" {
  description = "HAProxy's configuration. It needs a stats socket at /run/haproxy/admin.sock for group haproxy, and 'monitor-uri' at settings.health_url."
  type        = string
  nullable    = false
}

variable "prepare" {
  description = "Shell commands to run on each node that has HAProxy, as root, before HAProxy starts."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "program" {
  description = "Where hacluster comes from: an s3:// or https:// URL of the bare binary or of the .deb, and its SHA-256. object_arn: that of an s3:// object that the nodes have to be let read."
  type = object({
    kind       = string
    url        = string
    sha256     = string
    object_arn = optional(string)
  })
  nullable = false

  validation {
    condition     = contains(["binary", "package"], var.program.kind)
    error_message = "program.kind must be binary or package."
  }
  validation {
    condition     = can(regex("^(s3|https)://[^[:space:]'\"]+$", var.program.url))
    error_message = "program.url must begin with s3:// or https://."
  }
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.program.sha256))
    error_message = "program.sha256 must be the SHA-256 of the file, 64 lower-case hexadecimal digits."
  }
}

variable "tls_parameters" {
  description = "Path and ARN of the SSM parameters below which each node's certificates are: PATH/NODE/ca, cert and key; with discovery, the authority itself: PATH/node/ca and ca-key. Null: the nodes talk over plain TCP."
  type        = object({ path = string, arn = string })
  default     = null
}

variable "log_group" {
  description = "CloudWatch log group that the nodes log to. Null: they keep their logs to themselves."
  type        = object({ name = string, arn = string })
  default     = null
}

variable "shell_access" {
  description = "Whether the nodes run the SSM agent, for Session Manager and Run Command."
  type        = bool
  default     = false
  nullable    = false
}

variable "disassociate_anywhere" {
  description = "True: the nodes may take the Elastic IP away from any network interface, and so repair a move to one that is not theirs. False: from one another only."
  type        = bool
  default     = false
  nullable    = false
}
