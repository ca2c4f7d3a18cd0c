#include "cli/person.h"
#include "cli/serve_internal.h"

namespace retort::cli {

void declare_serve(CLI::App& app, ServeArguments& arguments) {
  app.add_option("--model", arguments.models,
                 "a GGUF file or a Hugging Face folder, or NAME=PATH; several times for several")
      ->allow_extra_args(false);
  app.add_option("--upstream", arguments.upstreams,
                 "NAME=https://HOST/v1: another server of this API answers for NAME, here under "
                 "the same accounts; NAME=URL#THEIRS where it has another name there")
      ->allow_extra_args(false);
  app.add_option("--upstream-key", arguments.upstream_keys,
                 "NAME=VARIABLE: the environment variable with the key for that server")
      ->allow_extra_args(false);
  app.add_option("--upstream-max-tokens", arguments.upstream.bounds.max_tokens,
                 "of one answer of an upstream, and what is asked for where a request names none")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--upstream-timeout", arguments.upstream_timeout_s,
                 "seconds that an upstream has for a whole answer")
      ->check(CLI::Range(int64_t{1}, int64_t{86'400}))
      ->capture_default_str();
  app.add_option("--model-id", arguments.names,
                 "the name that requests give, one a model; from the path when left out")
      ->allow_extra_args(false);
  app.add_option("--adapter", arguments.adapters,
                 "NAME=FOLDER: an adapter of low rank as PEFT writes it, served under that name "
                 "beside the one model; several times for several")
      ->allow_extra_args(false);
  app.add_option("--host", arguments.door.host,
                 "address to listen on; any but loopback needs a key")
      ->capture_default_str();
  app.add_option("--proxy", arguments.door.proxies,
                 "address or block of a proxy in front: who asks through it is told by its "
                 "X-Forwarded-For; several times for several")
      ->allow_extra_args(false);
  app.add_option("--name", arguments.door.names,
                 "a name that the door answers to beside localhost, where a proxy on this machine "
                 "stands in front of it")
      ->allow_extra_args(false);
  app.add_option("--port", arguments.door.port, "0: the system picks one")->capture_default_str();
  app.add_option("--port-file", arguments.port_file,
                 "gets the port as one line once requests are answered");
  app.add_option("--api-key", arguments.door.api_key,
                 "what clients must send; better in RETORT_API_KEY, where other users of the "
                 "machine do not see it; \"\" asks for none")
      ->envname("RETORT_API_KEY");
  app.add_option(
      "--accounts", arguments.accounts,
      "folder of accounts (retort account): every key is one of theirs, with its limits");
  declare_store(app, arguments.accounts_store);
  app.add_option("--admin-port", arguments.admin_port,
                 "port of the administration and its console, for keys of the kind admin alone "
                 "(docs/reference/admin.md); 0: the system picks one; none without")
      ->check(CLI::Range(0, 65'535));
  app.add_option("--admin-host", arguments.admin.host, "address that the administration listens on")
      ->capture_default_str();
  app.add_option("--admin-name", arguments.admin.names,
                 "a name that the administration answers to beside localhost, where a proxy stands "
                 "in front of it")
      ->allow_extra_args(false);
  app.add_option("--admin-port-file", arguments.admin_port_file,
                 "gets the administration's port as one line");
  app.add_option("--webhook", arguments.webhook,
                 "https://HOST/PATH that is told of every step of a case, signed with "
                 "RETORT_WEBHOOK_SECRET (docs/reference/cases.md)");
  app.add_flag("--webhook-private", arguments.webhook_private,
               "it may lie on this machine or in a private network, and speak plain http");
  app.add_option("--price", arguments.prices,
                 "NAME=INPUT/OUTPUT: what a million tokens of a model's prompts and answers cost, "
                 "for limits in money")
      ->allow_extra_args(false);
  app.add_option("--chat-template", arguments.engine.chat_template,
                 "how conversations are written, in place of what the models' files say: " +
                     tokenizer::chat_template_names());
  app.add_option("--max-batch", arguments.engine.max_batch, "answers that a model works on at once")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  app.add_option("--max-waiting", arguments.door.max_waiting,
                 "answers that may wait beyond, of a model; further requests get 429")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--max-connections", arguments.door.max_connections,
                 "connections at once, idle ones among them; further ones get 503")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--max-connections-of-one", arguments.door.max_connections_of_one,
                 "of these from one address, of IPv6 from one /64; 0: half, and as many as there "
                 "are from this machine")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--max-logprobs", arguments.door.max_logprobs,
                 "alternatives a token that a request may ask for; trainers that learn from "
                 "distributions want 100 and more")
      ->check(CLI::Range(int64_t{0}, engine::kTopLogprobsMax))
      ->capture_default_str();
  app.add_option("--context", arguments.engine.context_length,
                 "tokens of prompt and answer; 0: the model's own, at most 8192")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
      ->capture_default_str();
  app.add_option("--kv-memory", arguments.engine.kv_cache_bytes,
                 "bytes for the attention caches of all models together, in equal parts; never "
                 "passed; also 512MiB, 2GiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->capture_default_str();
  app.add_flag("--exact", arguments.engine.exact, "all products in fp32: slower, to compare with");
  app.add_option("--ledger", arguments.ledger,
                 "the log that says which models are frozen; without, the nearest folders of that "
                 "name upwards from here and from each model");
  app.add_option("--terms", arguments.door.terms_url,
                 "address of the terms that bind the answers; sent with each");
  app.add_option("--content-usage", arguments.door.content_usage,
                 "their short form (IETF AIPREF), as train-ai=n; sent likewise");
}

}  // namespace retort::cli
