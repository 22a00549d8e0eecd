config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Files are named by subject here.
rule "terraform_standard_module_structure" {
  enabled = false
}
