import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Instant;

/** Tells the time over HTTP, and what the JVM thinks it may use. */
public class Clock {
    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            Runtime machine = Runtime.getRuntime();
            byte[] text = String.format("%s, Java %s, %d processors, heap of at most %d MiB%n", Instant.now(),
                    System.getProperty("java.version"), machine.availableProcessors(), machine.maxMemory() >> 20).getBytes();
            exchange.sendResponseHeaders(200, text.length);
            exchange.getResponseBody().write(text);
            exchange.close();
        });
        server.start();
        System.out.println("listening");
    }
}
