variable "name" {
  description = "Name of the cluster: in hacluster's configuration, in the tag 'hacluster' and in names of resources."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC. It needs an internet gateway, DNS host names, and a way to the EC2 API that does not use the Elastic IP: an interface endpoint with private DNS."
  type        = string
  nullable    = false
}

variable "nodes" {
  description = "Every node by name: 3 to 9, best an odd number in as many zones. Address is its private IPv4 address, which it keeps for life. A witness only votes."
  type = map(object({
    subnet_id         = string
    availability_zone = string
    address           = string
    priority          = number
    witness           = optional(bool, false)
    instance_type     = optional(string)
  }))
  default  = {}
  nullable = false
}

variable "discovery" {
  description = "In place of nodes: an Auto Scaling group of one for each entry of subnet_ids, whose instances find one another by their tag. Nothing of a node outlives it: neither interface nor address nor name."
  type        = object({ subnet_ids = list(string) })
  default     = null

  validation {
    condition     = (var.discovery == null) != (length(var.nodes) == 0)
    error_message = "Set either nodes or discovery."
  }
  validation {
    condition     = var.discovery == null ? true : contains([3, 5, 7, 9], length(var.discovery.subnet_ids))
    error_message = "discovery.subnet_ids must have 3, 5, 7 or 9 entries, one for each node; a subnet may stand there more than once."
  }
}

variable "architecture" {
  description = "arm64 (Graviton) or amd64 (x86)."
  type        = string
  default     = "arm64"
  nullable    = false
}

variable "instance_type" {
  description = "Instance type of nodes that do not name their own. Null: t4g.micro or t3.micro, by architecture."
  type        = string
  default     = null
}

variable "ami_id" {
  description = "The image: Debian 12 or later with cloud-init. Null: the newest of Debian's own for the architecture."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id must look like ami-0123456789abcdef0, or be null for Debian's newest."
  }
}

variable "ipv6" {
  description = "Whether the nodes get an IPv6 address. It is how they reach package mirrors without the Elastic IP, through an egress-only gateway; the subnets need IPv6 for it."
  type        = bool
  default     = true
  nullable    = false
}

variable "public_ports" {
  description = "TCP ports that the world may reach on the nodes that have HAProxy."
  type        = set(number)
  default     = [80, 443]
  nullable    = false

  validation {
    condition     = alltrue([for p in var.public_ports : p >= 1 && p <= 65535 && p != 22 && p != var.settings.port])
    error_message = "public_ports must be from 1 to 65535, and neither 22 (use shell_access) nor the port that the nodes talk on."
  }
}

variable "public_cidrs" {
  description = "Who is the world: IPv4 networks."
  type        = set(string)
  default     = ["0.0.0.0/0"]
  nullable    = false

  validation {
    condition     = alltrue([for c in var.public_cidrs : can(cidrnetmask(c))])
    error_message = "public_cidrs must be IPv4 networks, for example 0.0.0.0/0."
  }
}

variable "egress" {
  description = "Where the nodes may connect to beside one another, by a name for each: one of security_group_id, prefix_list_id, cidr_ipv4, cidr_ipv6. They need the EC2 API, what HAProxy forwards to, and where they install from."
  type = map(object({
    port              = number
    security_group_id = optional(string)
    prefix_list_id    = optional(string)
    cidr_ipv4         = optional(string)
    cidr_ipv6         = optional(string)
  }))
  nullable = false

  validation {
    condition = alltrue([for e in values(var.egress) :
    length([for to in [e.security_group_id, e.prefix_list_id, e.cidr_ipv4, e.cidr_ipv6] : to if to != null]) == 1])
    error_message = "Each egress must have exactly one of security_group_id, prefix_list_id, cidr_ipv4 and cidr_ipv6."
  }
  validation {
    condition     = alltrue([for name in keys(var.egress) : can(regex("^[a-zA-Z0-9 ._:/()#,@+=&;{}!$*-]{1,255}$", name))])
    error_message = "The name of an egress becomes the description of a rule, for which EC2 allows letters, digits, spaces and ._-:/()#,@+=&;{}!$* only."
  }
}

variable "settings" {
  description = "Keys of hacluster's configuration: profile, fencing, drift, virtual_router_id, port, health_url. See modules/node-files."
  type = object({
    profile           = optional(string)
    fencing           = optional(string)
    drift             = optional(string)
    virtual_router_id = optional(number)
    port              = optional(number, 7400)
    health_url        = optional(string)
  })
  default  = {}
  nullable = false
}

variable "insecure" {
  description = "True: the nodes talk over plain TCP, which the security group alone protects. False: over TLS, with certificates made here."
  type        = bool
  default     = false
  nullable    = false
}

variable "haproxy_config" {
  description = "HAProxy's configuration; see modules/node-files for what it has to contain."
  type        = string
  nullable    = false
}

variable "prepare" {
  description = "Shell commands to run on each node that has HAProxy, as root, before HAProxy starts."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "program_file" {
  description = "A local hacluster binary for linux and the architecture, to be sent to the nodes by way of an S3 bucket. Null: package_url."
  type        = string
  default     = null

  validation {
    condition     = (var.program_file == null) != (var.package_url == null)
    error_message = "Set either program_file or package_url."
  }
}

variable "package_url" {
  description = "An https:// or s3:// URL of hacluster's .deb. The nodes have no IPv4 way out: a host of it must answer over IPv6, a bucket must be in this region."
  type        = string
  default     = null
}

variable "package_sha256" {
  description = "SHA-256 of the .deb at package_url."
  type        = string
  default     = null

  validation {
    condition     = (var.package_sha256 == null) == (var.package_url == null)
    error_message = "package_sha256 belongs to package_url: set both or none."
  }
}

variable "auto_scaling" {
  description = "True: an Auto Scaling group of one for each node replaces instances that fail. The network interface, and with it the address, stays."
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = !var.auto_scaling || var.discovery == null
    error_message = "auto_scaling is for the nodes of nodes: those of discovery are in Auto Scaling groups anyway."
  }
}

variable "disassociate_anywhere" {
  description = "True: the nodes may take the Elastic IP away from any network interface, and so repair a move to one that is not theirs. False: from one another only."
  type        = bool
  default     = false
  nullable    = false
}

variable "shell_access" {
  description = "True: the nodes can be reached by Session Manager and Run Command. Needs the SSM endpoints in the VPC."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days to keep logs in CloudWatch. Null: the nodes keep their logs to themselves."
  type        = number
  default     = null

  validation {
    condition     = var.log_retention_days == null ? true : contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731."
  }
}

variable "tags" {
  description = "Tags for everything, beside Name and hacluster."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = !contains(keys(var.tags), "hacluster")
    error_message = "The tag hacluster is the module's own: the nodes' permissions go by it."
  }
}
