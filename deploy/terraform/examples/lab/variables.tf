variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-central-1."
  }
}

variable "name" {
  description = "Name of the lab and of its cluster."
  type        = string
  default     = "lab"
}

variable "layout" {
  description = "Which nodes: 3, 5, or 2+witness."
  type        = string
  default     = "3"

  validation {
    condition     = contains(["3", "5", "2+witness"], var.layout)
    error_message = "layout must be \"3\", \"5\" or \"2+witness\": other numbers survive no more failures than the next smaller one of these."
  }
}

variable "architecture" {
  description = "arm64 (Graviton) or amd64 (x86). program_file must be built for it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "amd64"], var.architecture)
    error_message = "architecture must be arm64 (Graviton) or amd64 (x86)."
  }
}

variable "vpc_cidr" {
  description = "IPv4 network of the lab's VPC; subnets are its /24s."
  type        = string
  default     = "10.97.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) == 16
    error_message = "vpc_cidr must be an IPv4 network with a prefix of 16, for example 10.97.0.0/16."
  }
}

variable "program_file" {
  description = "The hacluster binary for linux and the architecture. Null: package_url."
  type        = string
  default     = null
}

variable "package_url" {
  description = "URL of hacluster's .deb instead of program_file."
  type        = string
  default     = null
}

variable "package_sha256" {
  description = "SHA-256 of the .deb at package_url."
  type        = string
  default     = null
}

variable "insecure" {
  description = "True: plain TCP between the nodes, which the security group alone protects. False: TLS."
  type        = bool
  default     = false
}

variable "auto_scaling" {
  description = "True: Auto Scaling groups of one replace nodes that fail."
  type        = bool
  default     = false
}

variable "discovery" {
  description = "True: the nodes are an Auto Scaling group of one each, and find one another by their tag; layout says how many. 'make aws-lab-test' does not know them."
  type        = bool
  default     = false

  validation {
    condition     = !var.discovery || var.layout != "2+witness"
    error_message = "With discovery there is no witness: choose layout 3 or 5."
  }
}

variable "shell_access" {
  description = "True: nodes can be reached by Session Manager; 'make aws-lab-test' stops HAProxy that way."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days to keep the nodes' logs in CloudWatch. Null: they stay on the nodes."
  type        = number
  default     = null
}

variable "settings" {
  description = "Keys of hacluster's configuration, for example { profile = \"fast\" }."
  type        = map(string)
  default     = {}
}
